import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EtcdStoreOptions } from "../../src/engine/etcd/etcd-engine.ts";
import { apply, eventsOf, keysOf, one, put } from "../contract/requests.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { type EtcdTlsServer, startEtcdTls } from "../support/etcd-tls-server.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

const binaries = await etcdBinaries();

describe.skipIf(binaries === undefined)(binaries === undefined ? NO_ETCD : "store in etcd: TLS", () => {
  let etcd: EtcdTlsServer;
  beforeAll(async () => {
    if (binaries === undefined) throw new Error(NO_ETCD);
    etcd = await startEtcdTls(binaries);
  });
  afterAll(() => etcd[Symbol.asyncDispose]());

  it("a client certificate of etcd's authority is let in", async () => {
    await using store = await openStoreAt([etcd.address], { tls: { ca: etcd.ca, ...etcd.client } });
    const live = eventsOf(store.engine.watch(one("a")), 1);
    await apply(store.engine, put("a", "1"));
    expect(await keysOf(store.engine)).toBe("a");
    expect(await live).toHaveLength(1);
  });

  it("a certificate that is not for the endpoint's address is not trusted", async () => {
    const elsewhere = etcd.address.replace("127.0.0.1", "127.0.0.2");
    await expect(openStoreAt([elsewhere], { tls: { ca: etcd.ca, ...etcd.client } })).rejects.toMatchObject({
      code: "storeUnavailable",
    });
  });

  it("without one, or where etcd has another authority, nothing is served", async () => {
    const foreign = await readFile(new URL("../support/tls/cert.pem", import.meta.url));
    const open = (tls?: EtcdStoreOptions["tls"]) => openStoreAt([etcd.address], tls === undefined ? {} : { tls });
    const [nameless, distrusting, plain] = await Promise.all(
      [open({ ca: etcd.ca }), open({ ca: foreign, ...etcd.client }), open()].map((opening) =>
        opening.catch((error: unknown) => error),
      ),
    );
    for (const error of [nameless, distrusting, plain]) {
      expect(error).toMatchObject({ code: "storeUnavailable" });
    }
    expect(nameless).toMatchObject({
      message: expect.stringMatching(/\(no connection: TLS: alert [a-z ]*certificate[a-z ]*\)$/),
    });
    expect(distrusting).toMatchObject({
      message: expect.stringMatching(/\(no connection: [a-z ]*certificate[a-z ]*\)$/),
    });
  });
});
