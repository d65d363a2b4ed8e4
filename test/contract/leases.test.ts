import { expect } from "vitest";
import { MAX_LEASE_TTL_S } from "../../src/base/limits.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { onEveryBusyEngine } from "./engines.ts";
import { ALL, apply, del, eventsOf, from, keysOf, lines, name, one, put, refusal } from "./requests.ts";

async function keysOn(engine: Engine, id: bigint): Promise<string> {
  return (await engine.leaseStatus(id, { keys: true })).keys.map(name).join(" ");
}

const SOON_NS = 30_000_000_000n;

/** Waits in real time, also where the engine's time is the test's: what is due has still to be written to disk. */
async function soon(check: () => Promise<void>): Promise<void> {
  const deadline = process.hrtime.bigint() + SOON_NS;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (process.hrtime.bigint() > deadline) {
        throw error;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

onEveryBusyEngine((test) => {
  test("leases: grant with a chosen ID, and with one that is chosen", {}, async ({ engine }) => {
    expect(await engine.grantLease({ id: 42n, ttl: 60 })).toEqual({ id: 42n, ttl: 60 });
    const largest = 2n ** 63n - 1n;
    expect(await engine.grantLease({ id: largest, ttl: 60 })).toEqual({ id: largest, ttl: 60 });
    const chosen = await engine.grantLease({ id: 0n, ttl: 60 });
    const other = await engine.grantLease({ id: 0n, ttl: 60 });
    expect(chosen.id).toBeGreaterThan(0n);
    expect(chosen.id).toBeLessThan(2n ** 63n);
    expect(new Set([42n, largest, chosen.id, other.id]).size).toBe(4);
    const sorted = [42n, largest, chosen.id, other.id].sort((a, b) => (a < b ? -1 : 1));
    expect(await engine.leases()).toEqual(sorted);
  });

  test("leases: neither grant, keepAlive nor an empty revoke moves the revision", { history: true }, async ({
    engine,
  }) => {
    await engine.grantLease({ id: 42n, ttl: 60 });
    await engine.keepLeaseAlive(42n);
    expect(await engine.revokeLease(42n)).toEqual({ revision: 1 });
    expect(await engine.status()).toEqual({ revision: 1, compactRevision: 0 });
  });

  test("leases: grant refuses an ID that exists, and takes one that is free again", {}, async ({ engine }) => {
    await engine.grantLease({ id: 42n, ttl: 60 });
    expect(await refusal(engine.grantLease({ id: 42n, ttl: 90 }))).toBe("leaseExists");
    expect(await engine.leaseStatus(42n, { keys: false })).toMatchObject({ grantedTtl: 60 });
    await engine.revokeLease(42n);
    expect(await engine.grantLease({ id: 42n, ttl: 90 })).toEqual({ id: 42n, ttl: 90 });
  });

  test("leases: grant takes the largest time to live and refuses a larger one", {}, async ({ engine }) => {
    expect(await engine.grantLease({ id: 1n, ttl: MAX_LEASE_TTL_S })).toEqual({ id: 1n, ttl: MAX_LEASE_TTL_S });
    expect(await refusal(engine.grantLease({ id: 2n, ttl: MAX_LEASE_TTL_S + 1 }))).toBe("leaseTtlTooLarge");
    expect(await engine.leases()).toEqual([1n]);
  });

  test("leases: a time to live that is too short is raised to the least", {}, async ({ engine }) => {
    for (const ttl of [0, 1]) {
      const granted = await engine.grantLease({ id: 0n, ttl });
      expect(granted.ttl).toBeGreaterThanOrEqual(1);
      expect(granted.ttl).toBeLessThanOrEqual(5);
    }
  });

  test("leases: everything refuses one that is unknown", {}, async ({ engine }) => {
    expect(await refusal(engine.revokeLease(9n))).toBe("leaseNotFound");
    expect(await refusal(engine.keepLeaseAlive(9n))).toBe("leaseNotFound");
    expect(await refusal(engine.leaseStatus(9n, { keys: true }))).toBe("leaseNotFound");
    expect(await refusal(apply(engine, put("a", "1", { lease: 9n })))).toBe("leaseNotFound");
    expect(await engine.leases()).toEqual([]);
  });

  test("leases: revoke deletes the keys in one revision, in key order", { history: true }, async ({ engine }) => {
    await engine.grantLease({ id: 42n, ttl: 60 });
    await apply(engine, put("c", "1", { lease: 42n }), put("x", "1"));
    await apply(engine, put("a", "1", { lease: 42n }));
    await apply(engine, put("b", "1", { lease: 42n }));
    const watch = engine.watch(ALL);
    expect(await engine.revokeLease(42n)).toEqual({ revision: 5 });
    expect(await eventsOf(watch, 3)).toEqual(["delete a mod 5", "delete b mod 5", "delete c mod 5"]);
    expect(await keysOf(engine)).toBe("x");
    expect(await engine.leases()).toEqual([]);
    expect(await refusal(engine.leaseStatus(42n, { keys: false }))).toBe("leaseNotFound");
  });

  test("leases: status tells the time granted, the time left and, where asked, the keys in order", {}, async ({
    engine,
  }) => {
    await engine.grantLease({ id: 42n, ttl: 60 });
    await apply(engine, put("b", "1", { lease: 42n }), put("a", "1", { lease: 42n }), put("c", "1"));
    const { ttl, ...rest } = await engine.leaseStatus(42n, { keys: false });
    expect(rest).toEqual({ id: 42n, grantedTtl: 60, keys: [] });
    expect(ttl).toBeGreaterThanOrEqual(30);
    expect(ttl).toBeLessThanOrEqual(60);
    expect(await keysOn(engine, 42n)).toBe("a b");
  });

  test("leases: a put moves its key to another lease, or off any", {}, async ({ engine }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    await engine.grantLease({ id: 2n, ttl: 60 });
    await apply(engine, put("a", "1", { lease: 1n }), put("b", "1", { lease: 1n }), put("c", "1", { lease: 1n }));
    await apply(engine, put("a", "2", { lease: 2n }), put("b", "2"), put("c", "2", { lease: 1n }));
    expect(await keysOn(engine, 1n)).toBe("c");
    expect(await keysOn(engine, 2n)).toBe("a");
    expect(lines((await engine.range(ALL)).kvs)).toEqual([
      "a=2 create 2 mod 3 version 2 lease 2",
      "b=2 create 2 mod 3 version 2",
      "c=2 create 2 mod 3 version 2 lease 1",
    ]);
    await engine.revokeLease(1n);
    expect(await keysOf(engine)).toBe("a b");
    await engine.revokeLease(2n);
    expect(await keysOf(engine)).toBe("b");
  });

  test("leases: a deletion detaches the key", {}, async ({ engine }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    await apply(engine, put("a", "1", { lease: 1n }), put("b", "1", { lease: 1n }));
    await apply(engine, del(one("a")));
    expect(await keysOn(engine, 1n)).toBe("b");
    await apply(engine, put("a", "2"));
    await engine.revokeLease(1n);
    expect(await keysOf(engine)).toBe("a");
  });

  test("leases: a key's events and past values show its lease", { history: true }, async ({ engine }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    await apply(engine, put("a", "1", { lease: 1n }));
    await engine.revokeLease(1n);
    expect(lines((await engine.range({ ...ALL, revision: 2 })).kvs)).toEqual(["a=1 create 2 mod 2 version 1 lease 1"]);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 2, prevKv: true }), 2)).toEqual([
      "put a=1 create 2 mod 2 version 1 lease 1",
      "delete a mod 3 (was a=1 create 2 mod 2 version 1 lease 1)",
    ]);
  });

  test("leases: expiry deletes the keys in one revision, in key order, and tells watchers", {}, async ({
    engine,
    advance,
  }) => {
    // Long enough for what comes before its end, where the disk is slow.
    const { ttl } = await engine.grantLease({ id: 42n, ttl: 4 });
    await apply(engine, put("b", "1", { lease: 42n }), put("a", "1", { lease: 42n }), put("c", "1"));
    const told = eventsOf(engine.watch({ ...ALL, prevKv: true }), 2);
    await advance(ttl * 1000);
    expect(await told).toEqual([
      "delete a mod 3 (was a=1 create 2 mod 2 version 1 lease 42)",
      "delete b mod 3 (was b=1 create 2 mod 2 version 1 lease 42)",
    ]);
    expect(await keysOf(engine)).toBe("c");
    await soon(async () => expect(await engine.leases()).toEqual([]));
    expect(await refusal(engine.keepLeaseAlive(42n))).toBe("leaseNotFound");
  });

  test("leases: expiry comes neither early nor late", { needs: ["fakeTime"], history: true }, async ({
    engine,
    advance,
  }) => {
    await engine.grantLease({ id: 1n, ttl: 3600 });
    await engine.grantLease({ id: 2n, ttl: 10 });
    await apply(engine, put("a", "1", { lease: 1n }), put("b", "1", { lease: 2n }));
    await advance(9_900);
    expect(await keysOf(engine)).toBe("a b");
    await advance(1_000);
    await soon(async () => expect(await keysOf(engine)).toBe("a"));
    await advance(3_588_000);
    expect(await keysOf(engine)).toBe("a");
    await advance(2_000);
    await soon(async () => expect(await keysOf(engine)).toBe(""));
    expect(await engine.status()).toMatchObject({ revision: 4 });
  });

  test("leases: expiry of an empty lease moves no revision", { needs: ["fakeTime"], history: true }, async ({
    engine,
    advance,
  }) => {
    await engine.grantLease({ id: 1n, ttl: 10 });
    await advance(11_000);
    await soon(async () => expect(await engine.leases()).toEqual([]));
    expect(await engine.status()).toMatchObject({ revision: 1 });
  });

  test("leases: the time left falls, in whole seconds", { needs: ["fakeTime"] }, async ({ engine, advance }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    const left = async () => (await engine.leaseStatus(1n, { keys: false })).ttl;
    await advance(10_500);
    expect(await left()).toBe(49);
    await advance(49_000);
    expect(await left()).toBe(0);
  });

  test("leases: the time left is rounded down", {}, async ({ engine, advance }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    await advance(20);
    const { grantedTtl, ttl } = await engine.leaseStatus(1n, { keys: false });
    expect(grantedTtl).toBe(60);
    // Less than a second has gone, or on a busy machine some more.
    expect(ttl).toBeLessThanOrEqual(59);
    expect(ttl).toBeGreaterThanOrEqual(30);
  });

  test("leases: keepAlive gives the full time again, and tells it", { needs: ["fakeTime"] }, async ({
    engine,
    advance,
  }) => {
    await engine.grantLease({ id: 1n, ttl: 10 });
    await apply(engine, put("a", "1", { lease: 1n }));
    for (let round = 0; round < 5; round++) {
      await advance(9_000);
      expect(await engine.keepLeaseAlive(1n)).toBe(10);
    }
    await advance(9_000);
    expect(await keysOf(engine)).toBe("a");
    await advance(2_000);
    await soon(async () => expect(await keysOf(engine)).toBe(""));
  });

  test("leases: keepAlive tells the time granted", {}, async ({ engine }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    expect(await engine.keepLeaseAlive(1n)).toBe(60);
  });

  test("leases: a time longer than a timer can wait does not end at once", {}, async ({ engine, advance }) => {
    await engine.grantLease({ id: 1n, ttl: MAX_LEASE_TTL_S });
    await engine.grantLease({ id: 2n, ttl: 30 * 24 * 3600 });
    await advance(100);
    expect(await engine.leases()).toEqual([1n, 2n]);
  });

  test("leases: keys put anew after an expiry stay", { needs: ["fakeTime"] }, async ({ engine, advance }) => {
    await engine.grantLease({ id: 1n, ttl: 10 });
    await apply(engine, put("a", "1", { lease: 1n }));
    await advance(11_000);
    await soon(async () => expect(await engine.leases()).toEqual([]));
    await apply(engine, put("a", "2"));
    await engine.grantLease({ id: 1n, ttl: 10 });
    await advance(11_000);
    await soon(async () => expect(await engine.leases()).toEqual([]));
    expect(lines((await engine.range(from(""))).kvs)).toEqual(["a=2 create 4 mod 4 version 1"]);
  });
});
