import { expect } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { onEveryEngine } from "./engines.ts";
import { ALL, apply, del, eventsOf, keysOf, lines, one, put, refusal } from "./requests.ts";

/** a at 2, 3 and 5, b at 4, deleted at 6, c at 7. */
async function fill(engine: Engine): Promise<void> {
  await apply(engine, put("a", "1"));
  await apply(engine, put("a", "2"));
  await apply(engine, put("b", "3"));
  await apply(engine, put("a", "4"));
  await apply(engine, del(one("b")));
  await apply(engine, put("c", "6"));
}

onEveryEngine((test) => {
  test("compact: what is before the revision is compacted, the state at it and after it stays", {
    needs: ["compaction"],
  }, async ({ engine }) => {
    await fill(engine);
    await engine.compact(4);
    expect(await engine.status()).toEqual({ revision: 7, compactRevision: 4 });
    for (const revision of [1, 2, 3]) {
      expect(await refusal(engine.range({ ...ALL, revision }))).toBe("compacted");
      expect(await refusal(engine.range({ ...one("c"), revision, countOnly: true }))).toBe("compacted");
    }
    const at = async (revision: number) => lines((await engine.range({ ...ALL, revision })).kvs);
    expect(await at(4)).toEqual(["a=2 create 2 mod 3 version 2", "b=3 create 4 mod 4 version 1"]);
    expect(await at(5)).toEqual(["a=4 create 2 mod 5 version 3", "b=3 create 4 mod 4 version 1"]);
    expect(await at(6)).toEqual(["a=4 create 2 mod 5 version 3"]);
    expect(await at(0)).toEqual(["a=4 create 2 mod 5 version 3", "c=6 create 7 mod 7 version 1"]);
  });

  test("compact: a deleted key is gone, a live one keeps its revisions and version", { needs: ["compaction"] }, async ({
    engine,
  }) => {
    await fill(engine);
    await engine.compact(7);
    expect(lines((await engine.range(ALL)).kvs)).toEqual([
      "a=4 create 2 mod 5 version 3",
      "c=6 create 7 mod 7 version 1",
    ]);
    await apply(engine, put("a", "8"), put("b", "8"));
    expect(lines((await engine.range(ALL)).kvs)).toEqual([
      "a=8 create 2 mod 8 version 4",
      "b=8 create 8 mod 8 version 1",
      "c=6 create 7 mod 7 version 1",
    ]);
  });

  test("compact: makes no revision, and tells no watcher", { needs: ["compaction"] }, async ({ engine }) => {
    await fill(engine);
    const watch = engine.watch(ALL);
    await engine.compact(7);
    expect(await engine.status()).toEqual({ revision: 7, compactRevision: 7 });
    await apply(engine, put("d", "8"));
    expect(await eventsOf(watch, 1)).toEqual(["put d=8 create 8 mod 8 version 1"]);
  });

  test("compact: refuses a revision that is compacted already, or has not happened", { needs: ["compaction"] }, async ({
    engine,
  }) => {
    await fill(engine);
    expect(await refusal(engine.compact(8))).toBe("futureRevision");
    await engine.compact(4);
    expect(await refusal(engine.compact(4))).toBe("compacted");
    expect(await refusal(engine.compact(3))).toBe("compacted");
    expect(await engine.status()).toMatchObject({ compactRevision: 4 });
    await engine.compact(7);
    expect(await refusal(engine.compact(7))).toBe("compacted");
  });

  test("compact: refuses a revision that is not whole", { needs: ["compaction"] }, async ({ engine }) => {
    await fill(engine);
    for (const revision of [Number.NaN, 1.5, Number.NEGATIVE_INFINITY]) {
      expect(await refusal(engine.compact(revision))).toBe("invalidArgument");
    }
    expect(await engine.status()).toEqual({ revision: 7, compactRevision: 0 });
    await engine.compact(4);
    expect(await refusal(engine.compact(4.5))).toBe("invalidArgument");
    expect(await engine.status()).toEqual({ revision: 7, compactRevision: 4 });
  });

  test("compact: events of live keys from the revision on stay", { needs: ["compaction"] }, async ({ engine }) => {
    await fill(engine);
    await engine.compact(5);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 5 }), 3)).toEqual([
      "put a=4 create 2 mod 5 version 3",
      "delete b mod 6",
      "put c=6 create 7 mod 7 version 1",
    ]);
  });

  test("compact: deletions made at the revision stay", { needs: ["compaction", "tombstoneAtCompaction"] }, async ({
    engine,
  }) => {
    await fill(engine);
    await engine.compact(6);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 6 }), 2)).toEqual([
      "delete b mod 6",
      "put c=6 create 7 mod 7 version 1",
    ]);
    expect(await keysOf(engine)).toBe("a c");
  });

  test("compact: a revision whose changes were all overtaken stays whole at the mark", {
    needs: ["compaction"],
  }, async ({ engine }) => {
    await apply(engine, put("a", "1"), put("b", "1"), put("c", "1"));
    await apply(engine, put("a", "2"), put("b", "2"));
    await apply(engine, put("a", "3"), del(one("c")));
    await engine.compact(3);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 3 }), 4)).toEqual([
      "put a=2 create 2 mod 3 version 2",
      "put b=2 create 2 mod 3 version 2",
      "put a=3 create 2 mod 4 version 3",
      "delete c mod 4",
    ]);
    expect(await eventsOf(engine.watch({ ...one("c"), startRevision: 3, prevKv: true }), 1)).toEqual([
      "delete c mod 4 (was c=1 create 2 mod 2 version 1)",
    ]);
  });

  test("compact: the previous value of an event at the mark is gone, of one after it not", {
    needs: ["compaction"],
  }, async ({ engine }) => {
    await fill(engine);
    await engine.compact(5);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 5, prevKv: true }), 3)).toEqual([
      "put a=4 create 2 mod 5 version 3",
      "delete b mod 6 (was b=3 create 4 mod 4 version 1)",
      "put c=6 create 7 mod 7 version 1",
    ]);
  });

  test("compact: leases keep their keys", { needs: ["compaction"] }, async ({ engine }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    await apply(engine, put("a", "1", { lease: 1n }));
    await apply(engine, put("b", "1"));
    await engine.compact(3);
    await engine.revokeLease(1n);
    expect(await keysOf(engine)).toBe("b");
  });

  test("compact: while writes and reads go on, loses none", { needs: ["compaction"] }, async ({ engine }) => {
    const watch = engine.watch(ALL);
    const told = eventsOf(watch, 300);
    for (let round = 0; round < 10; round++) {
      const writes = Array.from({ length: 30 }, (_, index) => apply(engine, put(`k${index % 7}`, `${round}`)));
      const { revision } = await engine.status();
      await engine.compact(revision).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "compacted" });
      });
      await Promise.all(writes);
    }
    // A reader may be overtaken by a compaction only if it says so; this one keeps up, or is told that it did not.
    await told.then(
      (events) => expect(events).toHaveLength(300),
      (error: unknown) => expect(error).toMatchObject({ code: "compacted" }),
    );
    expect(await engine.range(ALL)).toMatchObject({ revision: 301, count: 7 });
  });
});
