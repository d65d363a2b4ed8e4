import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { STORE_DEADLINE_MS } from "../../src/base/store-limits.ts";
import { type EtcdTlsServer, startEtcdTls } from "../support/etcd-tls-server.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

/** Nobody listens there. */
const NOWHERE = "127.0.0.1:1";
/** By then a connection has been refused. */
const TRIED_MS = 2_000;
const USERS = [undefined, { name: "muster", password: "secret" }];

await describeWithEtcd("store in an etcd that cannot be reached", (binaries) => {
  let etcd: EtcdTlsServer;
  beforeAll(async () => {
    etcd = await startEtcdTls(binaries);
  });
  afterAll(() => etcd[Symbol.asyncDispose]());

  /** Leaves the last attempt of a call no time in which anything can be done. */
  const hastyClock = () => {
    const begun = performance.now();
    const monotonic = () => (performance.now() - begun < TRIED_MS ? 0 : STORE_DEADLINE_MS);
    return { ...systemClock, monotonic };
  };

  it.each(USERS)("says what the connection broke on, with the user %j as without one", async (user) => {
    const foreign = await readFile(new URL("../support/tls/cert.pem", import.meta.url));
    const options = { clock: hastyClock(), ...(user === undefined ? {} : { user }) };
    const reasons = await Promise.all(
      [
        openStoreAt([NOWHERE], options),
        openStoreAt([etcd.address], options),
        openStoreAt([etcd.address], { ...options, tls: { ca: foreign, ...etcd.client } }),
        openStoreAt([etcd.address], { ...options, tls: { ca: etcd.ca } }),
      ].map((opening) => opening.then(() => "opened", String)),
    );
    expect(reasons).toEqual([
      expect.stringMatching(/\(no connection: connect ECONNREFUSED 127\.0\.0\.1:1\)$/),
      expect.stringMatching(/\(no connection: [^()]+\)$/),
      expect.stringMatching(/\(no connection: [a-z ]*certificate[a-z ]*\)$/),
      expect.stringMatching(/\(no connection: TLS: alert [a-z ]*certificate[a-z ]*\)$/),
    ]);
  });
});
