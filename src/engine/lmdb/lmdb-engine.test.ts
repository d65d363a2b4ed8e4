import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { del, MovedClock, put, txn } from "../../../test/support/brief-requests.ts";
import { PATIENTLY } from "../../../test/support/until.ts";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { COMPACTION_STEP_CHANGES } from "../../base/compaction-limits.ts";
import { MusterError } from "../../base/errors.ts";
import { LEASE_CHECK_MS } from "../../base/limits.ts";
import { type Log, silentLog } from "../../base/log.ts";
import type { Engine } from "../engine.ts";
import type { RangeRequest } from "../model.ts";
import { openLmdbEngine } from "./lmdb-engine.ts";
import { encodeState, STATE_KEY } from "./lmdb-schema.ts";
import { LmdbStore } from "./lmdb-store.ts";

const ALL: RangeRequest = { key: utf8(""), end: null };

let directory = "";
let engine: Engine;

let time: MovedClock;

beforeEach(async () => {
  time = new MovedClock();
  directory = await mkdtemp(join(tmpdir(), "muster-engine-"));
  engine = await openLmdbEngine({ directory, clock: time });
});

afterEach(async () => {
  vi.useRealTimers();
  await engine.close();
  await rm(directory, { recursive: true });
});

const keysOf = async (request: RangeRequest = ALL) =>
  (await engine.range(request)).kvs.map((kv) => Buffer.from(kv.key).toString());

async function restart(): Promise<void> {
  await engine.close();
  engine = await openLmdbEngine({ directory, clock: time });
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

describe("openLmdbEngine: large values", () => {
  it("deletes a few of them in pieces, as many small ones are", async () => {
    await engine.grantLease({ id: 1n, ttl: 100 });
    const value = "v".repeat(100_000);
    const fill = () => engine.txn(txn(...["a", "b", "c", "d"].map((key) => put(key, value, 1n))));
    await engine.close();
    // No time, so that each look at the clock ends a piece: there is one for each 64 keys, or for as much work.
    engine = await openLmdbEngine({ directory, clock: time, writeSlice: { ms: 0, unitsPerLook: 64 } });
    const write = vi.spyOn(LmdbStore.prototype, "write");
    const transactions = async (run: () => Promise<unknown>) => {
      write.mockClear();
      await run();
      return write.mock.calls.length;
    };
    await fill();
    expect(await transactions(() => engine.txn(txn(del("a", "z"))))).toBeGreaterThan(1);
    await fill();
    expect(await transactions(() => engine.revokeLease(1n))).toBeGreaterThan(1);
    expect(await keysOf()).toEqual([]);
    write.mockRestore();
  });
});

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
    await expect(openLmdbEngine({ directory, clock: time })).rejects.toMatchObject({ code: "directoryInUse" });
    await engine.txn(txn(put("a")));
    await engine.close();
    await inspect((store) => store.tables.meta.removeSync(STATE_KEY));
    await expect(openLmdbEngine({ directory, clock: time })).rejects.toMatchObject({ code: "directoryCorrupt" });
    await inspect((store) => store.tables.meta.putSync(STATE_KEY, encodeState({ revision: 2, compactRevision: -1 })));
    engine = await openLmdbEngine({ directory, clock: time });
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
      engine = await openLmdbEngine({ directory, clock: time });
      expect(left).toEqual({ revs: 2, past: ["a 21,23,0", "b 21,22,0"] });
    }, PATIENTLY);
  });

  it("goes on after a restart that came before it was done", async () => {
    for (let round = 0; round < COMPACTION_STEP_CHANGES; round += 64) {
      await engine.txn(txn(...Array.from({ length: 128 }, (_, index) => put(`k${index}`, `${round}`))));
    }
    await engine.close();
    await inspect((store) => store.tables.meta.putSync(STATE_KEY, encodeState({ revision: 5, compactRevision: 5 })));
    engine = await openLmdbEngine({ directory, clock: time });
    await vi.waitFor(async () => {
      await restart();
      await engine.close();
      const left = await inspect(({ tables }) => tables.revs.getCount());
      engine = await openLmdbEngine({ directory, clock: time });
      expect(left).toBe(128);
    }, PATIENTLY);
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

  it("close: frees the directory though the store does not close well", async () => {
    const close = LmdbStore.prototype.close;
    const broken = vi.spyOn(LmdbStore.prototype, "close").mockImplementation(async function (this: LmdbStore) {
      await close.call(this);
      throw new Error("EIO");
    });
    await expect(engine.close()).rejects.toThrow("EIO");
    broken.mockRestore();
    engine = await openLmdbEngine({ directory, clock: time });
  });

  it("leases: while the store is down, what expires is reported once a round", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    await engine.close();
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (_fields: unknown, message?: string) => void warnings.push(`${message}`) };
    engine = await openLmdbEngine({ directory, clock: time, log });
    for (const id of [1n, 2n, 3n]) {
      await engine.grantLease({ id, ttl: 10 });
    }
    const down = vi.spyOn(LmdbStore.prototype, "write").mockRejectedValue(new MusterError("storeUnavailable", "EIO"));
    time.at += 10_000;
    vi.advanceTimersByTime(LEASE_CHECK_MS);
    await nextTurn();
    expect(warnings).toEqual(["could not end expired leases: it is tried again"]);
    vi.advanceTimersByTime(LEASE_CHECK_MS);
    await nextTurn();
    expect(warnings).toHaveLength(2);
    down.mockRestore();
    vi.advanceTimersByTime(LEASE_CHECK_MS);
    await engine.probe();
    expect(await engine.leases()).toEqual([]);
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

  it("probe: fails when the files were deleted under the process, in which LMDB would go on as if nothing were", async () => {
    for (const name of await readdir(directory)) await rm(join(directory, name));
    await expect(engine.probe()).rejects.toMatchObject({ code: "storeUnavailable" });
  });
});
