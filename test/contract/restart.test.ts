import { expect } from "vitest";
import { onEveryEngine } from "./engines.ts";
import { ALL, apply, del, eventsOf, keysOf, lines, one, put, refusal } from "./requests.ts";

const needs = ["restart"] as const;

onEveryEngine((test) => {
  test("restart: an empty store is at revision 1 again", { needs }, async (fixture) => {
    await fixture.restart?.();
    expect(await fixture.engine.range(ALL)).toEqual({ revision: 1, kvs: [], more: false, count: 0 });
  });

  test("restart: keys, revisions and history are there, and revisions go on", { needs }, async (fixture) => {
    await apply(fixture.engine, put("a", "1"), put("b", "1"));
    await apply(fixture.engine, put("a", "2"), del(one("b")));
    await fixture.restart?.();
    const { engine } = fixture;
    expect(await engine.status()).toEqual({ revision: 3, compactRevision: 0 });
    expect(lines((await engine.range(ALL)).kvs)).toEqual(["a=2 create 2 mod 3 version 2"]);
    expect(lines((await engine.range({ ...ALL, revision: 2 })).kvs)).toEqual([
      "a=1 create 2 mod 2 version 1",
      "b=1 create 2 mod 2 version 1",
    ]);
    expect(await apply(engine, put("a", "3"))).toMatchObject({ revision: 4 });
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 2, prevKv: true }), 5)).toEqual([
      "put a=1 create 2 mod 2 version 1",
      "put b=1 create 2 mod 2 version 1",
      "put a=2 create 2 mod 3 version 2 (was a=1 create 2 mod 2 version 1)",
      "delete b mod 3 (was b=1 create 2 mod 2 version 1)",
      "put a=3 create 2 mod 4 version 3 (was a=2 create 2 mod 3 version 2)",
    ]);
  });

  test("restart: what was compacted stays compacted", { needs: ["restart", "compaction"] }, async (fixture) => {
    for (const value of ["1", "2", "3", "4"]) {
      await apply(fixture.engine, put("a", value));
    }
    await fixture.engine.compact(4);
    await fixture.restart?.();
    const { engine } = fixture;
    expect(await engine.status()).toEqual({ revision: 5, compactRevision: 4 });
    expect(await refusal(engine.range({ ...ALL, revision: 3 }))).toBe("compacted");
    expect(await refusal(engine.compact(4))).toBe("compacted");
    expect(lines((await engine.range({ ...ALL, revision: 4 })).kvs)).toEqual(["a=3 create 2 mod 4 version 3"]);
  });

  test("restart: leases keep their times and keys", { needs }, async (fixture) => {
    await fixture.engine.grantLease({ id: 7n, ttl: 100 });
    await fixture.engine.grantLease({ id: 8n, ttl: 200 });
    await apply(fixture.engine, put("b", "1", { lease: 7n }), put("a", "1", { lease: 7n }), put("c", "1"));
    await fixture.engine.revokeLease(8n);
    await fixture.restart?.();
    const { engine } = fixture;
    expect(await engine.leases()).toEqual([7n]);
    const { ttl, keys, grantedTtl } = await engine.leaseStatus(7n, { keys: true });
    expect({ keys: keys.map(String), grantedTtl }).toEqual({
      keys: [..."ab"].map((key) => String(Buffer.from(key))),
      grantedTtl: 100,
    });
    expect(ttl).toBeLessThanOrEqual(100);
    expect(await refusal(engine.grantLease({ id: 7n, ttl: 100 }))).toBe("leaseExists");
    expect(await engine.keepLeaseAlive(7n)).toBe(100);
    await engine.revokeLease(7n);
    expect(await keysOf(engine)).toBe("c");
  });

  test("restart: a lease expires after it, within its full time", {
    needs: ["restart", "fakeTime"],
  }, async (fixture) => {
    await fixture.engine.grantLease({ id: 7n, ttl: 60 });
    await apply(fixture.engine, put("a", "1", { lease: 7n }), put("b", "1"));
    await fixture.restart?.();
    const told = eventsOf(fixture.engine.watch(ALL), 1);
    await fixture.advance(61_000);
    expect(await told).toEqual(["delete a mod 3"]);
    expect(await keysOf(fixture.engine)).toBe("b");
  });

  test("restart: a lease that was granted and never used is there", { needs }, async (fixture) => {
    const { id } = await fixture.engine.grantLease({ id: 0n, ttl: 60 });
    await fixture.restart?.();
    expect(await fixture.engine.leases()).toEqual([id]);
    expect(await fixture.engine.revokeLease(id)).toEqual({ revision: 1 });
    await fixture.restart?.();
    expect(await fixture.engine.leases()).toEqual([]);
  });

  test("restart: of the writes under way at close, those that were acknowledged are there", {
    needs,
  }, async (fixture) => {
    const writes = Array.from({ length: 200 }, (_, index) =>
      apply(fixture.engine, put(`k${index}`, "1")).then(
        ({ revision }) => revision,
        (error: unknown) => {
          expect(error).toMatchObject({ code: "closed" });
          return undefined;
        },
      ),
    );
    await fixture.restart?.();
    const acknowledged = (await Promise.all(writes)).filter((revision) => revision !== undefined);
    const { kvs, revision } = await fixture.engine.range(ALL);
    const there = new Set(kvs.map((kv) => kv.modRevision));
    expect(acknowledged.filter((made) => !there.has(made))).toEqual([]);
    expect(there.size).toBe(revision - 1);
  });
});
