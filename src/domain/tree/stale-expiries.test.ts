import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import { STALE_EXPIRIES_PER_WRITE, TREE_SWEEP_BATCH } from "../../base/tree-limits.ts";
import type { KeyValue } from "../../engine/model.ts";
import { StaleExpiries } from "./stale-expiries.ts";

function entry(place: number, modRevision = 7): KeyValue {
  const key = utf8(`\0e${place}`);
  return { key, value: utf8(""), createRevision: modRevision, modRevision, version: 1, lease: 0n };
}

function staleOf(count: number): { readonly stale: StaleExpiries; readonly doubted: KeyValue[] } {
  const doubted: KeyValue[] = [];
  const stale = new StaleExpiries((doubtful) => doubted.push(doubtful));
  for (let place = 0; place < count; place++) stale.add(entry(place));
  return { stale, doubted };
}

describe("StaleExpiries", () => {
  it("ride: each entry goes along once, and only while it is the one that was seen", () => {
    const { stale } = staleOf(2);
    stale.add(entry(1, 9));
    const { compares, operations } = stale.ride();
    expect(operations).toEqual([entry(0), entry(1)].map(({ key }) => ({ kind: "deleteRange", request: { key } })));
    expect(compares.map((compare) => ("expected" in compare ? compare.expected : undefined))).toEqual([7, 9]);
    expect(stale.ride().operations).toEqual([]);
  });

  it("ride: takes no more along than a transaction has room for", () => {
    const { stale } = staleOf(STALE_EXPIRIES_PER_WRITE + 1);
    expect(stale.ride().operations).toHaveLength(STALE_EXPIRIES_PER_WRITE);
    expect(stale.ride().operations).toHaveLength(1);
    expect(2 * STALE_EXPIRIES_PER_WRITE).toBeLessThanOrEqual(MAX_TXN_OPERATIONS);
  });

  it("ride: one that failed tells of the entries, which are to be looked at anew", () => {
    const { stale, doubted } = staleOf(2);
    stale.ride().failed();
    expect(doubted).toEqual([entry(0), entry(1)]);
  });

  it("overflow: a transaction of their own, where too many wait", () => {
    const { stale } = staleOf(TREE_SWEEP_BATCH);
    expect(stale.overflow()).toBeUndefined();
    stale.add(entry(TREE_SWEEP_BATCH));
    expect(stale.overflow()?.success).toHaveLength(TREE_SWEEP_BATCH);
    expect(stale.overflow()).toBeUndefined();
    expect(stale.ride().operations).toHaveLength(1);
    expect(TREE_SWEEP_BATCH).toBeLessThanOrEqual(MAX_TXN_OPERATIONS);
  });
});
