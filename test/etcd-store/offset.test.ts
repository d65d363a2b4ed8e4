import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Compare } from "../../src/engine/model.ts";
import { ALL, apply, eventsOf, keys, lines, one, put, refusal, txn } from "../contract/requests.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

const binaries = await etcdBinaries();
const OFFSET = 1_000_000;

describe.skipIf(binaries === undefined)(
  binaries === undefined ? NO_ETCD : "store in etcd: revisions with an offset",
  () => {
    let etcd: EtcdServer;
    beforeAll(async () => {
      if (binaries === undefined) throw new Error(NO_ETCD);
      etcd = await startEtcd(binaries);
    });
    afterAll(() => etcd.stop());

    /** A store whose offset was recorded, as an import does, and the revision at which that was, as it is told. */
    async function imported(prefix: string) {
      {
        await using before = await openStoreAt([etcd.clientAddress], { prefix });
        await apply(before.engine, put("old", "1"));
        await apply(before.engine, put("\0store/offset", `${OFFSET}`));
      }
      const store = await openStoreAt([etcd.clientAddress], { prefix });
      const { revision } = await store.engine.status();
      return { store, engine: store.engine, floor: revision };
    }

    const holds = async (engine: Engine, compare: Compare) => (await engine.txn(txn([compare], []))).succeeded;

    it("every revision that is told lies beyond the offset, and can be given back", async () => {
      const { store, engine, floor } = await imported("told/");
      await using _ = store;
      expect(floor).toBeGreaterThan(OFFSET);
      const watch = engine.watch({ ...one("a"), startRevision: floor + 1 });
      expect((await apply(engine, put("a", "1"))).revision).toBe(floor + 1);
      await apply(engine, put("a", "2"));
      const last = `a=2 create ${floor + 1} mod ${floor + 2} version 2`;
      expect(lines((await engine.range(one("a"))).kvs)).toEqual([last]);
      expect(lines((await engine.range({ ...one("a"), revision: floor + 1 })).kvs)[0]).toContain("a=1");
      expect((await eventsOf(watch, 2)).at(-1)).toBe(`put ${last}`);
      const equals: Compare = { ...one("a"), target: "modRevision", result: "equal", expected: floor + 2 };
      expect(await holds(engine, equals)).toBe(true);
      expect(keys((await engine.range({ ...ALL, minModRevision: floor + 2 })).kvs)).toBe("a");
    });

    it("what was before the import is compacted", async () => {
      const { store, engine, floor } = await imported("past/");
      await using _ = store;
      for (const revision of [1, OFFSET, floor - 1]) {
        expect(await refusal(engine.range({ ...ALL, revision }))).toBe("compacted");
        const next = engine
          .watch({ ...ALL, startRevision: revision })
          [Symbol.asyncIterator]()
          .next();
        await expect(next).rejects.toMatchObject({ code: "compacted", details: { compactRevision: floor } });
      }
      expect((await engine.range({ ...one("old"), revision: floor })).count).toBe(1);
      expect((await engine.status()).compactRevision).toBe(floor);
    });

    it("no key has a revision from before the offset, and none is taken for absent by one", async () => {
      const { store, engine } = await imported("compares/");
      await using _ = store;
      for (const expected of [1, 5, OFFSET]) {
        for (const [key, isThere] of [
          ["old", true],
          ["new", false],
        ] as const) {
          const compare = { ...one(key), target: "createRevision", expected } as const;
          expect(await holds(engine, { ...compare, result: "equal" })).toBe(false);
          expect(await holds(engine, { ...compare, result: "notEqual" })).toBe(true);
          expect(await holds(engine, { ...compare, result: "greater" })).toBe(isThere);
          expect(await holds(engine, { ...compare, result: "less" })).toBe(!isThere);
        }
        expect(keys((await engine.range({ ...ALL, minCreateRevision: expected })).kvs)).toContain("old");
        expect(keys((await engine.range({ ...ALL, maxCreateRevision: expected })).kvs)).toBe("");
      }
      const absent = { ...one("new"), target: "createRevision", expected: 0, result: "equal" } as const;
      expect(await holds(engine, absent)).toBe(true);
    });
  },
);
