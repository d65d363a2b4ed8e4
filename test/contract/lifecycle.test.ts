import { expect } from "vitest";
import { onEveryBusyEngine } from "./engines.ts";
import { ALL, apply, keysOf, put, refusal } from "./requests.ts";

onEveryBusyEngine((test) => {
  test("status: the newest revision, and 0 for never compacted", { history: true }, async ({ engine }) => {
    expect(await engine.status()).toEqual({ revision: 1, compactRevision: 0 });
    await apply(engine, put("a", "1"));
    expect(await engine.status()).toEqual({ revision: 2, compactRevision: 0 });
  });

  test("probe: succeeds without moving the revision", { history: true }, async ({ engine }) => {
    await apply(engine, put("a", "1"));
    await engine.probe();
    expect(await engine.status()).toEqual({ revision: 2, compactRevision: 0 });
    expect(await keysOf(engine)).toBe("a");
  });

  test("close: ends watches and may be called twice", {}, async ({ engine }) => {
    const waiting = engine.watch(ALL);
    await waiting.createdRevision;
    const end = waiting[Symbol.asyncIterator]().next();
    await engine.close();
    expect(await end).toEqual({ value: undefined, done: true });
    await engine.close();
  });

  test("close: every call after it is refused", {}, async ({ engine }) => {
    await engine.grantLease({ id: 1n, ttl: 60 });
    await apply(engine, put("a", "1"));
    await engine.close();
    const watching = async () => {
      await engine.watch(ALL)[Symbol.asyncIterator]().next();
    };
    for (const call of [
      engine.range(ALL),
      apply(engine, put("a", "1")),
      engine.compact(2),
      engine.status(),
      engine.grantLease({ id: 2n, ttl: 60 }),
      engine.revokeLease(1n),
      engine.keepLeaseAlive(1n),
      engine.leaseStatus(1n, { keys: true }),
      engine.leases(),
      engine.probe(),
      watching(),
    ]) {
      expect(await refusal(call)).toBe("closed");
    }
  });
});
