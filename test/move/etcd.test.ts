import { afterAll, beforeAll, expect, test } from "vitest";
import { text, utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { importStore } from "../../src/domain/move/import-store.ts";
import { tokenPath } from "../../src/domain/registry/token.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openEtcdEngine } from "../../src/engine/etcd/etcd-engine.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { MovingPlace, opened } from "../support/moving.ts";
import { membersOf, V3Registry } from "../support/v3-registry.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const OTHER_WRITES = 60;
const LEASE = { id: 77n, ttl: 600 } as const;

await describeWithEtcd("a store that was moved to a real etcd", (binaries) => {
  let etcd: EtcdServer;

  beforeAll(async () => {
    etcd = await startEtcd(binaries);
  });

  afterAll(() => etcd.stop());

  const open = (prefix: string): Promise<Engine> =>
    openEtcdEngine({ endpoints: [etcd.clientAddress], prefix, clock: systemClock, log: silentLog });

  // The whole of it first: then it is empty.
  test.for(["", "/muster/"])(
    'below the prefix "%s": goes on beyond the revisions of before, and nobody is told twice',
    async (prefix) => {
      await using place = await MovingPlace.make();
      await using source = await V3Registry.open();
      const token = await source.newToken(5);
      for (let n = 0; n < OTHER_WRITES; n++) await source.commit(putOf("other", String(n)));
      await source.engine.grantLease(LEASE);
      await source.engine.txn({
        compares: [],
        success: [{ kind: "put", request: { key: utf8("leased"), value: utf8("1"), lease: LEASE.id } }],
        failure: [],
      });
      const known = (await source.registerByV2(token, "known", "known=u")).index;
      const missed = await source.registerByV3(token, "missed", "missed=u");
      const end = await source.revision();

      using file = opened(await place.export(source.engine));
      const importing = await open(prefix);
      await importStore({ engine: importing, file: file.export, again: false });
      await importing.close();

      const engine = await open(prefix);
      try {
        const { revision, compactRevision } = await engine.status();
        expect(revision).toBeGreaterThan(end);
        expect(compactRevision).toBeGreaterThan(end);
        expect(await engine.leases()).toEqual([LEASE.id]);
        expect(await engine.leaseStatus(LEASE.id, { keys: true })).toMatchObject({
          grantedTtl: LEASE.ttl,
          keys: [utf8("leased")],
        });
        await expect(engine.range({ key: utf8("other"), revision: end })).rejects.toMatchObject({ code: "compacted" });
        const old = { key: utf8("other"), target: "modRevision", result: "equal", expected: end } as const;
        expect((await engine.txn({ compares: [old], success: [], failure: [] })).succeeded).toBe(false);

        await using moved = await V3Registry.open(engine);
        const watch = moved.keyspace.watch({ ...membersOf(token), startRevision: known + 1 });
        expect(await watch.createdRevision).toBeGreaterThanOrEqual(revision);
        const wait = await moved.store.watch({ path: tokenPath(token), recursive: true, waitIndex: known + 1 });
        const told = Promise.all([firstOf(watch, 2), nodesOf(wait, 2)]);
        const late = await moved.registerByV2(token, "late", "late=u");
        expect(late.index).toBeGreaterThan(end);
        expect(await told).toEqual([
          [`missed ${missed}`, `late ${late.index}`],
          [`missed ${missed}`, `late ${late.index}`],
        ]);

        // And back: what is exported here is what was told here.
        const back = await place.toLmdb(engine);
        expect((await back.status()).revision).toBe((await engine.status()).revision + 1);
        const both = await Promise.all([engine, back].map((each) => each.range({ key: utf8("/"), end: null })));
        expect(both[1]?.kvs).toEqual(both[0]?.kvs);
      } finally {
        await engine.close();
      }
      await emptied(prefix);
    },
  );

  /** Leaves the etcd as it was for the next test. */
  async function emptied(prefix: string): Promise<void> {
    const engine = await open(prefix);
    await engine.revokeLease(LEASE.id);
    const everything = { key: new Uint8Array(0), end: null };
    await engine.txn({ compares: [], success: [{ kind: "deleteRange", request: everything }], failure: [] });
    await engine.close();
  }
});

function putOf(key: string, value: string) {
  return { kind: "put", request: { key: utf8(key), value: utf8(value) } } as const;
}

async function firstOf(watch: ReturnType<Engine["watch"]>, count: number): Promise<readonly string[]> {
  const told: string[] = [];
  for await (const message of watch) {
    if (message.kind !== "events") continue;
    for (const { kv } of message.events) told.push(`${text(kv.key).split("/").at(-1)} ${kv.modRevision}`);
    if (told.length >= count) break;
  }
  return told;
}

async function nodesOf(
  wait: Awaited<ReturnType<V3Registry["store"]["watch"]>>,
  count: number,
): Promise<readonly string[]> {
  const told: string[] = [];
  for await (const { node } of wait) {
    told.push(`${node.path.split("/").at(-1)} ${node.modifiedIndex}`);
    if (told.length >= count) break;
  }
  return told;
}
