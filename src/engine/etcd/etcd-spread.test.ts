import { describe, expect, it } from "vitest";
import { prefixEnd, utf8 } from "../../base/bytes.ts";
import type { Operation, RangeRequest } from "../model.ts";
import { wireRange, wireTxn } from "./etcd-requests.ts";
import { EtcdSpace } from "./etcd-space.ts";
import { spreadOfRange, spreadOfTxn } from "./etcd-spread.ts";

const space = new EtcdSpace(utf8("muster/"), undefined);
const one = { key: utf8("a") };
const below = { key: utf8("a/"), end: prefixEnd(utf8("a/")) };
const ofTxn = (...success: readonly Operation[]) => spreadOfTxn(wireTxn(space, { compares: [], success, failure: [] }));
const range = (request: RangeRequest): Operation => ({ kind: "range", request });
const nested = (...success: readonly Operation[]): Operation => ({
  kind: "txn",
  request: { compares: [], success: [], failure: success },
});

describe("which calls go over many keys", () => {
  it("none of single keys, however many", () => {
    expect(spreadOfRange(wireRange(space, one))).toBeUndefined();
    expect(ofTxn(range(one), nested(range(one), { kind: "deleteRange", request: one }))).toBeUndefined();
  });

  it("a range wherever it stands, alike for all its pages and in a transaction", () => {
    const { label } = spreadOfRange(wireRange(space, below)) ?? {};
    expect(label).toBe("muster/a0");
    expect(spreadOfRange(wireRange(space, { ...below, key: utf8("a/7"), limit: 1 }))?.label).toBe(label);
    expect(ofTxn(range(one), range(below))?.label).toBe(label);
    expect(ofTxn(range(one), nested({ kind: "deleteRange", request: below }))?.label).toBe(label);
    const compare = { ...below, target: "version", result: "equal", expected: 1 } as const;
    expect(spreadOfTxn(wireTxn(space, { compares: [compare], success: [], failure: [] }))?.label).toBe(label);
  });

  it("one at a revision is part of a reading that has begun", () => {
    expect(spreadOfRange(wireRange(space, below))?.isContinued).toBe(false);
    expect(spreadOfRange(wireRange(space, { ...below, revision: 7 }))?.isContinued).toBe(true);
    expect(ofTxn(range({ ...below, revision: 7 }))?.isContinued).toBe(true);
  });

  it("an answer tells how many keys, in nested transactions too", () => {
    const header = undefined;
    const ranged = { $case: "responseRange", value: { header, kvs: [], more: true, count: 5 } } as const;
    const deleted = { $case: "responseDeleteRange", value: { header, deleted: 7, prevKvs: [] } } as const;
    const inner = { header, succeeded: true, responses: [{ response: deleted }] };
    const responses = [{ response: ranged }, { response: { $case: "responseTxn", value: inner } as const }];
    expect(ofTxn(range(below))?.keys({ header, succeeded: true, responses })).toBe(12);
    expect(spreadOfRange(wireRange(space, below))?.keys(ranged.value)).toBe(5);
  });
});
