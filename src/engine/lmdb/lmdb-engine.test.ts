import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { COMPACTION_STEP_CHANGES, READ_SLICE_MS } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../engine.ts";
import type { Operation, RangeRequest, TxnRequest } from "../model.ts";
import { openLmdbEngine } from "./lmdb-engine.ts";
import { encodeState, STATE_KEY } from "./lmdb-schema.ts";
import { LmdbStore } from "./lmdb-store.ts";

const ALL: RangeRequest = { key: utf8(""), end: null };

let directory = "";
let engine: Engine;

/** A clock that the test moves; `step` is what each look at it costs. */
const time = { at: 0, step: 0 };
const clock = {
  now: () => time.at,
  monotonic: () => {
    time.at += time.step;
    return time.at;
  },
};

beforeEach(async () => {
  time.at = 0;
  time.step = 0;
  directory = await mkdtemp(join(tmpdir(), "muster-engine-"));
  engine = await openLmdbEngine({ directory, clock });
});

afterEach(async () => {
  vi.useRealTimers();
  await engine.close();
  await rm(directory, { recursive: true });
});

const put = (key: string, value = "v", lease = 0n): Operation => ({
  kind: "put",
  request: { key: utf8(key), value: utf8(value), lease },
});
const del = (key: string, end?: string): Operation => ({
  kind: "deleteRange",
  request: { key: utf8(key), ...(end === undefined ? {} : { end: utf8(end) }) },
});
const txn = (...success: Operation[]): TxnRequest => ({ compares: [], success, failure: [] });
const keysOf = async (request: RangeRequest = ALL) =>
  (await engine.range(request)).kvs.map((kv) => Buffer.from(kv.key).toString());

async function restart(): Promise<void> {
  await engine.close();
  engine = await openLmdbEngine({ directory, clock });
}

/** How many entries the tables have; the engine must be closed. */
async function inspect<T>(look: (store: LmdbStore) => T): Promise<T> {
  const store = await LmdbStore.open({ directory, isNew: false, log: silentLog });
  try {
    return look(store);
  } finally {
    await store.close();
  }
}

describe("openLmdbEngine: restarts", () => {
  it("keeps keys, history, the compaction mark and the revision", async () => {
    await engine.txn(txn(put("a", "1")));
    await engine.txn(txn(put("a", "2"), put("b")));
    await engine.txn(txn(del("b")));
    await engine.compact(3);
    await restart();
    expect(await engine.status()).toEqual({ revision: 4, compactRevision: 3 });
    expect(await keysOf({ ...ALL, revision: 3 })).toEqual(["a", "b"]);
    await expect(engine.range({ ...ALL, revision: 2 })).rejects.toMatchObject({ code: "compacted" });
    expect((await engine.txn(txn(put("c")))).revision).toBe(5);
  });

  it("keeps leases and what hangs on them, and gives them their full time again", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    await engine.grantLease({ id: 7n, ttl: 60 });
    await engine.txn(txn(put("leased", "v", 7n), put("free")));
    time.at += 59_000;
    await restart();
    expect(await engine.leaseStatus(7n, { keys: true })).toMatchObject({
      ttl: 60,
      grantedTtl: 60,
      keys: [utf8("leased")],
    });
    time.at += 60_000;
    vi.advanceTimersByTime(1000);
    await engine.probe();
    expect(await keysOf()).toEqual(["free"]);
    expect(await engine.leases()).toEqual([]);
  });

  it("refuses a directory that is open, and one of which the store was lost", async () => {
    await expect(openLmdbEngine({ directory, clock })).rejects.toMatchObject({ code: "directoryInUse" });
    await engine.txn(txn(put("a")));
    await engine.close();
    await inspect((store) => store.tables.meta.removeSync(STATE_KEY));
    await expect(openLmdbEngine({ directory, clock })).rejects.toMatchObject({ code: "directoryCorrupt" });
    await inspect((store) => store.tables.meta.putSync(STATE_KEY, encodeState({ revision: 2, compactRevision: -1 })));
    engine = await openLmdbEngine({ directory, clock });
    expect(await keysOf()).toEqual(["a"]);
  });

  it("leaves no other files than its own", async () => {
    expect((await readdir(directory)).sort()).toEqual(["FORMAT", "LOCK", "data.mdb", "lock.mdb"]);
  });
});

describe("LmdbEngine: group commit", () => {
  it("gives every transaction its own revision, in the order they were asked", async () => {
    const results = await Promise.all(Array.from({ length: 500 }, (_, index) => engine.txn(txn(put(`k${index}`)))));
    expect(results.map(({ revision }) => revision)).toEqual(Array.from({ length: 500 }, (_, index) => index + 2));
  });

  it("refuses one transaction alone, and leaves nothing of it", async () => {
    const [first, refused, second] = await Promise.allSettled([
      engine.txn(txn(put("a"))),
      engine.txn(txn(put("b"), put("c", "v", 99n))),
      engine.txn(txn(put("d"))),
    ]);
    expect(first).toMatchObject({ status: "fulfilled", value: { revision: 2 } });
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "leaseNotFound" } });
    expect(second).toMatchObject({ status: "fulfilled", value: { revision: 3 } });
    expect(await keysOf()).toEqual(["a", "d"]);
  });

  it("spends a slice of time, then commits: others wait for the next one and lose nothing", async () => {
    time.step = 100;
    const results = await Promise.all(Array.from({ length: 20 }, (_, index) => engine.txn(txn(put(`k${index}`)))));
    expect(results.at(-1)?.revision).toBe(21);
    expect((await keysOf()).length).toBe(20);
  });

  it("reads after a write see it, and a watch made before it is told", async () => {
    const watch = engine.watch({ key: utf8("k") });
    for (let round = 0; round < 50; round++) {
      const { revision } = await engine.txn(txn(put("k", `${round}`)));
      expect(await engine.range({ key: utf8("k") })).toMatchObject({ revision, kvs: [{ value: utf8(`${round}`) }] });
    }
    const seen: number[] = [];
    for await (const message of watch) {
      if (seen.push(message.revision) === 50) {
        break;
      }
    }
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => index + 2));
  });
});

describe("LmdbEngine: long reads", () => {
  /** Every look at the clock says that the slice is over. */
  const inSmallSlices = () => {
    time.step = READ_SLICE_MS + 1;
  };

  it("range: reads one moment, though the store is changed and compacted meanwhile", async () => {
    const count = 600;
    const keys = Array.from({ length: count }, (_, index) => `k${String(index).padStart(4, "0")}`);
    for (let from = 0; from < count; from += 100) {
      await engine.txn(txn(...keys.slice(from, from + 100).map((key) => put(key, "old"))));
    }
    const { revision } = await engine.status();
    inSmallSlices();
    const reading = engine.range(ALL);
    const counting = engine.range({ ...ALL, countOnly: true, revision });
    await engine.txn(txn(del("k0300", "k0400"), put("k0599", "new"), put("k0599a", "new")));
    await engine.txn(txn(put("k0001", "newer")));
    await engine.compact(revision + 2);
    const { kvs, count: total, revision: shown } = await reading;
    expect(kvs.map((kv) => Buffer.from(kv.key).toString())).toEqual(keys);
    expect(new Set(kvs.map((kv) => Buffer.from(kv.value).toString()))).toEqual(new Set(["old"]));
    expect({ total, shown }).toEqual({ total: count, shown: revision });
    expect((await counting).count).toBe(count);
    await expect(engine.range({ ...ALL, revision })).rejects.toMatchObject({ code: "compacted" });
  });

  it("range: counts all, whatever the limit, also in strides", async () => {
    const store = 12_345;
    for (let from = 0; from < store; from += 125) {
      const keys = Array.from({ length: Math.min(125, store - from) }, (_, index) => `k${from + index}`);
      await engine.txn(txn(...keys.map((key) => put(key, ""))));
    }
    for (const step of [0, READ_SLICE_MS + 1]) {
      time.step = step;
      expect(await engine.range({ ...ALL, limit: 3 })).toMatchObject({ count: store, more: true });
      expect((await engine.range({ ...ALL, countOnly: true })).count).toBe(store);
      expect(await engine.range({ ...ALL, limit: store })).toMatchObject({ count: store, more: false });
    }
  });

  it("close: ends a read that is under way with a named error", async () => {
    await engine.txn(txn(...Array.from({ length: 100 }, (_, index) => put(`k${index}`))));
    inSmallSlices();
    const reading = engine.range(ALL);
    const closing = engine.close();
    await expect(reading).rejects.toMatchObject({ code: "closed" });
    await closing;
  });
});

describe("LmdbEngine: compaction", () => {
  it("frees all that is forgotten, and keeps what is still visible", async () => {
    for (let round = 0; round < 20; round++) {
      await engine.txn(txn(put("a", `${round}`), put("b", `${round}`)));
    }
    await engine.txn(txn(del("b")));
    await engine.compact(22);
    await engine.txn(txn(put("a", "last")));
    await vi.waitFor(async () => {
      expect((await engine.range({ ...ALL, revision: 22 })).kvs).toHaveLength(1);
      await engine.close();
      const left = await inspect(({ tables }) => ({
        revs: tables.revs.getCount(),
        past: [...tables.past.getRange({})].map(({ key, value }) => `${key} ${value.join(",")}`),
      }));
      engine = await openLmdbEngine({ directory, clock });
      expect(left).toEqual({ revs: 2, past: ["a 21,23,0", "b 21,22,0"] });
    });
  });

  it("goes on after a restart that came before it was done", async () => {
    for (let round = 0; round < COMPACTION_STEP_CHANGES; round += 64) {
      await engine.txn(txn(...Array.from({ length: 128 }, (_, index) => put(`k${index}`, `${round}`))));
    }
    await engine.close();
    await inspect((store) => store.tables.meta.putSync(STATE_KEY, encodeState({ revision: 5, compactRevision: 5 })));
    engine = await openLmdbEngine({ directory, clock });
    await vi.waitFor(async () => {
      await restart();
      await engine.close();
      const left = await inspect(({ tables }) => tables.revs.getCount());
      engine = await openLmdbEngine({ directory, clock });
      expect(left).toBe(128);
    });
    expect((await engine.range({ ...ALL, revision: 5 })).count).toBe(128);
  });
});

describe("LmdbEngine: ends and odd keys", () => {
  it("close: lets what was asked before it finish, and refuses what comes after", async () => {
    const writing = engine.txn(txn(put("a")));
    const watching = engine.watch(ALL)[Symbol.asyncIterator]().next();
    const closing = Promise.all([engine.close(), engine.close()]);
    expect(await writing).toMatchObject({ revision: 2 });
    expect(await watching).toMatchObject({ done: true });
    await closing;
    await expect(engine.range(ALL)).rejects.toMatchObject({ code: "closed" });
    await expect(engine.txn(txn(put("b")))).rejects.toMatchObject({ code: "closed" });
    await expect(engine.probe()).rejects.toMatchObject({ code: "closed" });
    await expect(engine.leases()).rejects.toMatchObject({ code: "closed" });
    expect(() => engine.watch(ALL)).toThrowError(expect.objectContaining({ code: "closed" }));
  });

  it("range: bounds that are longer than any key keep their place", async () => {
    const long = "k".repeat(3000);
    await engine.txn(txn(put("a"), put("k".repeat(1978)), put("l")));
    const sized = async (key: string, end?: string | null) =>
      (await engine.range({ key: utf8(key), ...(end === undefined ? {} : { end: end === null ? null : utf8(end) }) }))
        .count;
    expect(await sized(long)).toBe(0);
    expect(await sized("a", long)).toBe(2);
    expect(await sized(long, null)).toBe(1);
    expect(await sized(long, "m")).toBe(1);
    expect(await sized("m", long)).toBe(0);
    expect((await engine.txn(txn(del("a", long)))).results).toMatchObject([{ deleted: 2 }]);
  });

  it("grantLease: chooses an ID with the randomness it is given, and none that is taken", async () => {
    const ids = [5n, 5n, 0n, -1n, 6n];
    await engine.close();
    engine = await openLmdbEngine({ directory, clock: systemClock, randomLeaseId: () => ids.shift() ?? 99n });
    expect(await engine.grantLease({ id: 0n, ttl: 10 })).toEqual({ id: 5n, ttl: 10 });
    expect(await engine.grantLease({ id: 0n, ttl: 10 })).toEqual({ id: 6n, ttl: 10 });
  });

  it("probe: writes durably and moves no revision", async () => {
    await engine.probe();
    await engine.probe();
    expect(await engine.status()).toEqual({ revision: 1, compactRevision: 0 });
  });
});
