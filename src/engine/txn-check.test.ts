import { describe, expect, it } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { MAX_KEY_BYTES, MAX_TXN_OPERATIONS } from "../base/limits.ts";
import type { Operation, PutRequest, TxnRequest } from "./model.ts";
import { checkKeyRange, checkTxn, isReadOnly } from "./txn-check.ts";

const put = (key: string, more: Partial<PutRequest> = {}): Operation => ({
  kind: "put",
  request: { key: utf8(key), value: utf8("v"), ...more },
});
const del = (key: string, end?: string | null): Operation => ({
  kind: "deleteRange",
  request: { key: utf8(key), ...(end === undefined ? {} : { end: end === null ? null : utf8(end) }) },
});
const range = (key: string): Operation => ({ kind: "range", request: { key: utf8(key) } });
const nested = (success: Operation[], failure: Operation[] = []): Operation => ({
  kind: "txn",
  request: { compares: [], success, failure },
});
const txn = (...success: Operation[]): TxnRequest => ({ compares: [], success, failure: [] });
const many = (count: number): Operation[] => Array.from({ length: count }, (_, index) => put(`k${index}`));

describe("checkTxn: duplicate keys, as etcd 3.4.23 answers", () => {
  it.each<[string, TxnRequest]>([
    ["a key put twice", txn(put("k"), put("k"))],
    ["a key put and deleted", txn(put("k"), del("k"))],
    ["a key deleted with a range, then put", txn(del("a", "z"), put("k"))],
    ["a key put, then deleted from a key on", txn(put("k"), del("a", null))],
    ["a put beside a nested one", txn(put("k"), nested([put("k")]))],
    ["a put beside a nested one in the other branch", txn(put("k"), nested([], [put("k")]))],
    ["a put beside a nested delete that will not be chosen", txn(nested([], [del("k")]), put("k"))],
    ["a delete beside a nested put", txn(nested([put("k")]), del("k"))],
    ["puts in two nested transactions", txn(nested([put("k")]), nested([], [put("k")]))],
    ["a nested delete before a nested put", txn(nested([del("k")]), nested([put("k")]))],
    ["the failure branch", { compares: [], success: [], failure: [put("k"), put("k")] }],
  ])("refuses %s", (_title, request) => {
    expect(() => checkTxn(request)).toThrowError(expect.objectContaining({ code: "duplicateKey" }));
  });

  it.each<[string, TxnRequest]>([
    ["different keys", txn(put("a"), put("b"), del("c"))],
    ["two deletes of one key", txn(del("k"), del("a", "z"))],
    ["a put in both branches", txn(nested([put("k")], [put("k")]))],
    ["a put in one branch, a delete in the other", txn(nested([put("k")], [del("k")]))],
    ["a nested put before a nested delete", txn(nested([put("k")]), nested([del("k")]))],
    ["a delete of an empty range", txn(del("z", "a"), put("k"))],
    ["the key at a range's end", txn(del("a", "k"), put("k"))],
    ["success and failure", { compares: [], success: [put("k")], failure: [del("k")] }],
  ])("passes %s", (_title, request) => {
    expect(() => checkTxn(request)).not.toThrow();
  });

  it("tells keys that are no text apart", () => {
    const bytes = (byte: number): Operation => ({
      kind: "put",
      request: { key: Buffer.from([byte]), value: utf8("") },
    });
    expect(() => checkTxn(txn(bytes(0xfe), bytes(0xff)))).not.toThrow();
  });
});

describe("checkTxn: how many operations", () => {
  it("counts each level's compares, success and failure alone", () => {
    const full = many(MAX_TXN_OPERATIONS);
    expect(() => checkTxn({ compares: [], success: full, failure: full })).not.toThrow();
    expect(() => checkTxn(txn(...full, put("more")))).toThrowError(
      expect.objectContaining({ code: "tooManyOperations" }),
    );
  });

  it("leaves nested levels what the one above did not take", () => {
    expect(() => checkTxn(txn(nested(many(MAX_TXN_OPERATIONS - 1))))).not.toThrow();
    expect(() => checkTxn(txn(nested(many(MAX_TXN_OPERATIONS))))).toThrowError(
      expect.objectContaining({ code: "tooManyOperations" }),
    );
  });
});

describe("checkTxn: operations", () => {
  it.each<[string, string, TxnRequest]>([
    ["an empty key", "invalidArgument", txn(put(""))],
    ["an empty key to read", "invalidArgument", txn(range(""))],
    ["an empty key nested", "invalidArgument", txn(nested([put("")]))],
    ["a value to ignore", "invalidArgument", txn(put("k", { ignoreValue: true }))],
    ["a lease to ignore", "invalidArgument", txn(put("k", { ignoreLease: true, lease: 5n }))],
    ["a key that is too long", "keyTooLong", txn(put("k".repeat(MAX_KEY_BYTES + 1)))],
  ])("refuses %s", (_title, code, request) => {
    expect(() => checkTxn(request)).toThrowError(expect.objectContaining({ code }));
  });

  it("passes the longest key, and an empty start of a range", () => {
    expect(() => checkTxn(txn(put("k".repeat(MAX_KEY_BYTES))))).not.toThrow();
    expect(() => checkKeyRange({ key: utf8(""), end: null })).not.toThrow();
  });
});

describe("isReadOnly", () => {
  it("looks into both branches at every depth", () => {
    expect(isReadOnly(txn(range("a"), nested([range("b")])))).toBe(true);
    expect(isReadOnly(txn(range("a"), nested([], [del("b")])))).toBe(false);
    expect(isReadOnly({ compares: [], success: [], failure: [put("a")] })).toBe(false);
  });
});
