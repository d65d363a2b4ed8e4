import { afterEach, describe, expect, it, vi } from "vitest";
import { COMPACTION_HISTORY_BYTES, COMPACTION_LEAST_REVISIONS } from "../base/compaction-limits.ts";
import { MusterError } from "../base/errors.ts";
import { AutoCompactor, type AutoCompactorOptions } from "./auto-compactor.ts";
import type { DiskUse } from "./engine.ts";

const HOUR = 3_600_000;

/** A store of which only the revisions are known, and a clock that the test moves. */
function storeWith(options: Partial<AutoCompactorOptions> & { readonly disk?: DiskUse } = {}) {
  let now = 0;
  const { disk } = options;
  const state = { revision: 1, compactRevision: 0 };
  const compact = vi.fn(async (revision: number) => {
    state.compactRevision = revision;
  });
  const diskUse = vi.fn(async () => disk ?? { fileBytes: 0, liveBytes: 0, historyBytes: 0, oldestRevision: 1 });
  const engine = { status: async () => ({ ...state }), compact, ...(disk === undefined ? {} : { diskUse }) };
  const clock = { now: () => 0, monotonic: () => now };
  const compactor = new AutoCompactor({ engine, clock, ...options });
  return {
    compactor,
    compact,
    diskUse,
    at: async (time: number, revision: number) => {
      now = time;
      state.revision = revision;
      await compactor.look();
      return state.compactRevision;
    },
  };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("AutoCompactor", () => {
  it("keeps an hour, where that is more than the revisions", async () => {
    const { at } = storeWith({ keepRevisions: 10 });
    expect(await at(0, 100)).toBe(0);
    expect(await at(HOUR / 2, 5000)).toBe(0);
    expect(await at(HOUR - 1, 9000)).toBe(0);
    expect(await at(HOUR, 9000)).toBe(100);
    expect(await at(HOUR * 1.5, 9000)).toBe(5000);
  });

  it("keeps the revisions, where they are more than an hour", async () => {
    const { at, compact } = storeWith();
    await at(0, 5000);
    expect(await at(2 * HOUR, 9000)).toBe(0);
    await at(3 * HOUR, 15_001);
    expect(await at(4 * HOUR, 15_002)).toBe(5002);
    expect(compact).toHaveBeenCalledWith(5001);
  });

  it("keeps less than both, where history takes more disk than it may", async () => {
    const most = COMPACTION_HISTORY_BYTES;
    const disk = { fileBytes: 0, liveBytes: 0, historyBytes: 4 * most, oldestRevision: 1 };
    expect(await storeWith({ disk }).at(0, 80_000)).toBe(60_000);
    expect(await storeWith({ disk: { ...disk, liveBytes: 4 * most } }).at(0, 80_000)).toBe(40_000);
    expect(await storeWith({ disk: { ...disk, historyBytes: most } }).at(0, 80_000)).toBe(0);
  });

  it("goes by what history takes while what lies before the mark is still being freed", async () => {
    const disk = { fileBytes: 0, liveBytes: 0, historyBytes: 2 * COMPACTION_HISTORY_BYTES, oldestRevision: 40_001 };
    const { at, compact } = storeWith({ disk });
    expect(await at(0, 80_000)).toBe(60_000);
    expect(await at(1, 80_000)).toBe(60_000);
    expect(compact).toHaveBeenCalledTimes(1);
  });

  it("asks what is on disk again when something was written, or there was too much", async () => {
    const fits = { fileBytes: 0, liveBytes: 0, historyBytes: COMPACTION_HISTORY_BYTES, oldestRevision: 1 };
    const { at, diskUse, compact } = storeWith({ disk: fits });
    await at(0, 80_000);
    await at(1, 80_000);
    expect(diskUse).toHaveBeenCalledTimes(1);
    const tooMuch = { ...fits, historyBytes: 2 * COMPACTION_HISTORY_BYTES };
    diskUse.mockResolvedValue(tooMuch);
    compact.mockRejectedValueOnce(new MusterError("storeUnavailable", "full"));
    await expect(at(2, 80_001)).rejects.toThrow("full");
    expect(await at(3, 80_001)).toBeGreaterThan(40_000);
    expect(diskUse).toHaveBeenCalledTimes(3);
  });

  it("keeps the least revisions, however much disk they take, or fewer where fewer are asked for", async () => {
    const disk = { fileBytes: 0, liveBytes: 0, historyBytes: 1e6 * COMPACTION_HISTORY_BYTES, oldestRevision: 1 };
    expect(await storeWith({ disk }).at(0, 80_000)).toBe(80_000 - COMPACTION_LEAST_REVISIONS);
    expect(await storeWith({ disk, keepRevisions: 10 }).at(0, 80_000)).toBe(79_990);
  });

  it("keeps the time, give or take a step of it, where it looks far more often", async () => {
    const { at } = storeWith({ keepRevisions: 0 });
    for (let second = 0; second < 2 * 3600; second++) {
      const kept = second - (await at(second * 1000, second));
      expect(kept, `after ${second} s`).toBeGreaterThanOrEqual(Math.min(second, 3600));
      expect(kept, `after ${second} s`).toBeLessThanOrEqual(3611);
    }
  });

  it("compacts only forward", async () => {
    const { at, compact } = storeWith({ keepRevisions: 0, keepMs: 0 });
    expect(await at(0, 50)).toBe(50);
    expect(await at(1, 50)).toBe(50);
    expect(compact).toHaveBeenCalledTimes(1);
  });

  it("start and stop: looks at every interval, and survives failures", async () => {
    vi.useFakeTimers();
    const { compactor, compact, at } = storeWith({ keepRevisions: 0, keepMs: 0, intervalMs: 1000 });
    compact.mockRejectedValueOnce(new MusterError("storeUnavailable", "full"));
    await expect(at(0, 50)).rejects.toThrow("full");
    compactor.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(compact).toHaveBeenCalledTimes(2);
    compact.mockRejectedValueOnce(new MusterError("storeUnavailable", "full"));
    await at(1, 60).catch(() => {});
    await vi.advanceTimersByTimeAsync(1000);
    expect(compact).toHaveBeenCalledTimes(4);
    await compactor.stop();
    await at(1, 70);
    compact.mockClear();
    await vi.advanceTimersByTimeAsync(5000);
    expect(compact).not.toHaveBeenCalled();
  });
});
