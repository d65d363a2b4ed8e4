import { afterAll, beforeAll, expect, test } from "vitest";
import { text } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openEtcdEngine } from "../../src/engine/etcd/etcd-engine.ts";
import { apply, put } from "../contract/requests.ts";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { MovingPlace, opened } from "../support/moving.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";

const PREFIX = "/muster/";
const TTL = 600;
const OWN_LEASE = 77n;
const FOREIGN_LEASE = 78n;

await describeWithEtcd("an export of a prefix in Debian's etcd", define);
await describeWithEtcdGo("3.7", "an export of a prefix in etcd 3.7", define);

function define(binaries: EtcdBinaries): void {
  let etcd: EtcdServer;
  let owner: Engine;
  let muster: Engine;

  beforeAll(async () => {
    etcd = await startEtcd(binaries);
    const open = (prefix: string) =>
      openEtcdEngine({ endpoints: [etcd.clientAddress], prefix, clock: systemClock, log: silentLog });
    owner = await open("");
    muster = await open(PREFIX);
  });

  afterAll(async () => {
    await muster.close();
    await owner.close();
    await etcd.stop();
  });

  test("refuses a key that hangs on a lease of the etcd's owner, until it hangs on none", async () => {
    await using place = await MovingPlace.make();
    await muster.grantLease({ id: OWN_LEASE, ttl: TTL });
    await apply(muster, put("ours", "1", { lease: OWN_LEASE }));
    await owner.grantLease({ id: FOREIGN_LEASE, ttl: TTL });
    await apply(owner, put(`${PREFIX}theirs`, "1", { lease: FOREIGN_LEASE }));
    await expect(place.export(muster)).rejects.toMatchObject({
      code: "invalidArgument",
      message: expect.stringMatching(`"theirs".*"${FOREIGN_LEASE}"`),
    });
    await apply(owner, put(`${PREFIX}theirs`, "2"));
    using file = opened(await place.export(muster));
    expect([...file.export.keys()].map(({ key, lease }) => [text(key), lease])).toEqual([
      ["ours", OWN_LEASE],
      ["theirs", 0n],
    ]);
  });
}
