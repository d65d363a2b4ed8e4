import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { del, MovedClock, put, txn } from "../../../test/support/brief-requests.ts";
import { utf8 } from "../../base/bytes.ts";
import { FIRST_READ_SLICE_MS, READ_SLICE_MS } from "../../base/limits.ts";
import type { Engine } from "../engine.ts";
import type { Operation, OperationResult, RangeRequest } from "../model.ts";
import { turns } from "../turns.ts";
import { openLmdbEngine } from "./lmdb-engine.ts";
import { RangeRead } from "./lmdb-range.ts";

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

/** The values that ranges of a transaction found, nested ones too, in order. */
function valuesOf(results: readonly OperationResult[]): string[] {
  return results.flatMap((result) => {
    if (result.kind === "txn") {
      return valuesOf(result.results);
    }
    return result.kind === "range" ? result.result.kvs.map((kv) => Buffer.from(kv.value).toString()) : [];
  });
}

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

  it("txn: one that only reads does so in slices, at one moment, though the store is changed meanwhile", async () => {
    await engine.txn(txn(...Array.from({ length: 100 }, (_, index) => put(`k${index}`, "oldest"))));
    await engine.txn(txn(...Array.from({ length: 100 }, (_, index) => put(`k${index}`, "older"))));
    const { revision } = await engine.txn(txn(...Array.from({ length: 100 }, (_, index) => put(`k${index}`, "old"))));
    inSmallSlices();
    const slices = vi.spyOn(RangeRead.prototype, "slice");
    const range = (request: Partial<RangeRequest> = {}): Operation => ({
      kind: "range",
      request: { ...ALL, ...request },
    });
    const nested: Operation = {
      kind: "txn",
      request: { compares: [], success: [range({ revision: revision - 2 })], failure: [] },
    };
    let goOn = () => {};
    const compacted = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const later = vi.spyOn(turns, "next").mockImplementation(() => compacted);
    const reading = engine.txn(txn(range(), nested, range({ limit: 1 })));
    await engine.txn(txn(del("k0", "k9"), put("new")));
    await engine.compact(revision + 1);
    for (let step = 0; step < 5; step++) {
      await engine.probe();
    }
    goOn();
    const result = await reading;
    later.mockRestore();
    expect(slices.mock.calls.length).toBeGreaterThan(3);
    slices.mockRestore();
    expect(result).toMatchObject({
      revision,
      succeeded: true,
      results: [
        { kind: "range", result: { revision, count: 100 } },
        { kind: "txn", succeeded: true, results: [{ kind: "range", result: { revision, count: 100 } }] },
        { kind: "range", result: { revision, count: 100, more: true } },
      ],
    });
    expect(valuesOf(result.results)).toEqual([
      ...Array.from({ length: 100 }, () => "old"),
      ...Array.from({ length: 100 }, () => "oldest"),
      "old",
    ]);
  });

  it("range: of many, one reads in a turn of the event loop, after a first slice that is short", async () => {
    for (let from = 0; from < 600; from += 100) {
      await engine.txn(txn(...Array.from({ length: 100 }, (_, index) => put(`k${from + index}`))));
    }
    const slices = vi.spyOn(RangeRead.prototype, "slice");
    time.step = FIRST_READ_SLICE_MS + 1;
    await engine.range(ALL);
    // 64 keys are read between two looks at the clock: one look at first, then as many as it takes.
    const looks = Math.ceil(READ_SLICE_MS / time.step);
    expect(slices).toHaveBeenCalledTimes(1 + Math.ceil((600 - 64) / (64 * looks)));
    inSmallSlices();
    slices.mockClear();
    // All begin at once: in how many turns else goes by how fast the machine is.
    const begin = vi.spyOn(turns, "begin").mockImplementation((work) => work());
    const count = 20;
    const reading = Promise.all(Array.from({ length: count }, () => engine.range(ALL)));
    let most = 0;
    let turnsTaken = 0;
    for (; turnsTaken < 1000 && slices.mock.calls.length < count * 10; turnsTaken++) {
      const before = slices.mock.calls.length;
      await nextTurn();
      most = Math.max(most, slices.mock.calls.length - before);
    }
    await reading;
    slices.mockRestore();
    begin.mockRestore();
    // One that goes on, and as this test looks in between maybe one of the next turn.
    expect(most).toBeLessThanOrEqual(2);
    expect(turnsTaken).toBeLessThan(1000);
  });

  it("range: a few large values are a slice too", async () => {
    await engine.txn(txn(...Array.from({ length: 6 }, (_, index) => put(`k${index}`, "v".repeat(300_000)))));
    inSmallSlices();
    const slices = vi.spyOn(RangeRead.prototype, "slice");
    expect((await engine.range(ALL)).kvs).toHaveLength(6);
    expect(slices.mock.calls.length).toBeGreaterThan(5);
    slices.mockRestore();
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
