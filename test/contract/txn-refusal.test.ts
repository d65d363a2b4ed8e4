import { expect } from "vitest";
import type { ErrorCode } from "../../src/base/errors.ts";
import { MAX_KEY_BYTES, MAX_TXN_OPERATIONS } from "../../src/base/limits.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Operation, TxnRequest } from "../../src/engine/model.ts";
import { onEveryBusyEngine } from "./engines.ts";
import {
  ALL,
  ALWAYS,
  apply,
  between,
  del,
  eventsOf,
  from,
  get,
  keysOf,
  lines,
  NEVER,
  nested,
  one,
  prefix,
  put,
  refusal,
  resultLines,
  txn,
} from "./requests.ts";

/** Expects that a transaction is refused, and that the store is as it was. */
async function expectRefusal(engine: Engine, request: TxnRequest, code: ErrorCode): Promise<void> {
  const before = { ...(await engine.status()), kvs: lines((await engine.range(ALL)).kvs) };
  expect(await refusal(engine.txn(request))).toBe(code);
  expect({ ...(await engine.status()), kvs: lines((await engine.range(ALL)).kvs) }).toEqual(before);
}

const a = put("a", "1");
const b = put("b", "1");

/** Lists of operations that write "a" twice on one path. */
const DUPLICATES: Readonly<Record<string, readonly Operation[]>> = {
  "two puts": [a, b, a],
  "a put and a deletion of the key": [a, del(one("a"))],
  "a deletion of the key and a put": [del(one("a")), a],
  "a put and a deletion of a range": [a, del(between("", "b"))],
  "a put and a deletion of a prefix": [put("aa", ""), del(prefix("a"))],
  "a put beside one in a nested transaction": [a, nested([], [a])],
  "a put beside one in a branch that is not taken": [a, nested([NEVER], [a])],
  "a put after one in a nested failure branch": [nested([], [], [a]), a],
  "a put beside a deletion in a nested transaction": [a, nested([], [del(one("a"))])],
  "a deletion beside a put in a nested transaction": [nested([], [a]), del(one("a"))],
  "a deletion beside a put in a nested failure branch": [nested([], [], [a]), del(between("a", "b"))],
  "puts in two nested transactions": [nested([], [a]), nested([], [a])],
  "puts in different branches of two nested transactions": [nested([], [a]), nested([], [], [a])],
  "a deletion in a nested transaction before a put in another": [nested([], [del(one("a"))]), nested([], [a])],
  "two puts in a nested transaction": [nested([], [a, a])],
  "two puts two levels down": [nested([], [b, nested([], [], [a]), nested([], [a])])],
};

/** Lists that look alike but write nothing twice. */
const ALLOWED: Readonly<Record<string, readonly Operation[]>> = {
  "a put in both branches of a nested transaction": [nested([], [a], [a])],
  "a deletion in one branch, a put in the other": [nested([], [a], [del(one("a"))])],
  "overlapping deletions": [del(one("a")), del(prefix("a")), nested([], [del(ALL)])],
  "a deletion that ends before the put": [del(between("", "a")), a, del(between("aa", "b"))],
  "reads of what is written": [get(one("a")), a, get(one("a"))],
  "a deletion of a range of nothing": [a, del(between("b", "a"))],
  "a deletion in a nested transaction after a put in another": [nested([], [a]), nested([], [del(one("a"))])],
};

onEveryBusyEngine((test) => {
  for (const [what, operations] of Object.entries(DUPLICATES)) {
    test(`txn: refuses one key written twice: ${what}`, {}, async ({ engine }) => {
      await apply(engine, put("a", "0"));
      await expectRefusal(engine, txn([], operations), "duplicateKey");
      await expectRefusal(engine, txn([], [], operations), "duplicateKey");
      await expectRefusal(engine, txn([], [nested([NEVER], operations)]), "duplicateKey");
    });
  }

  for (const [what, operations] of Object.entries(ALLOWED)) {
    test(`txn: allows ${what}`, {}, async ({ engine }) => {
      await apply(engine, put("a", "0"));
      expect(await engine.txn(txn([], operations, operations))).toMatchObject({ succeeded: true });
      expect(await apply(engine, nested([NEVER], operations, operations))).toMatchObject({ succeeded: true });
    });
  }

  test("txn: refuses a put and a deletion from a key on", {}, async ({ engine }) => {
    await apply(engine, put("a", "0"));
    for (const start of ["a", ""]) {
      await expectRefusal(engine, txn([], [a, del(from(start))]), "duplicateKey");
      await expectRefusal(engine, txn([], [del(from(start)), put("a", "", { ignoreValue: true })]), "duplicateKey");
      await expectRefusal(engine, txn([], [nested([], [a]), del(from(start))]), "duplicateKey");
    }
    expect(await apply(engine, a, del(from("b")))).toMatchObject({ succeeded: true });
  });

  test("txn: a put, and a deletion in a later nested transaction: both happen", { history: true }, async ({
    engine,
  }) => {
    await apply(engine, put("a", "0"));
    const { results } = await apply(
      engine,
      nested([], [put("a", "1", { prevKv: true }), put("b", "1")]),
      nested([], [del(prefix("a"), { prevKv: true }), get(ALL)]),
    );
    expect(results.map(resultLines)).toEqual([
      { txn: true, results: [{ put: "a=0 create 2 mod 2 version 1" }, { put: "nothing before" }] },
      {
        txn: true,
        results: [
          { deleted: 1, prevKvs: ["a=1 create 2 mod 3 version 2"] },
          { range: { revision: 3, kvs: ["b=1 create 3 mod 3 version 1"], more: false, count: 1 } },
        ],
      },
    ]);
    expect(await keysOf(engine)).toBe("b");
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 3, prevKv: true }), 3)).toEqual([
      "put a=1 create 2 mod 3 version 2 (was a=0 create 2 mod 2 version 1)",
      "put b=1 create 3 mod 3 version 1",
      "delete a mod 3 (was a=0 create 2 mod 2 version 1)",
    ]);
    await apply(engine, put("a", "2"));
    expect(lines((await engine.range(one("a"))).kvs)).toEqual(["a=2 create 4 mod 4 version 1"]);
  });

  test("txn: allows the same writes in both branches", { history: true }, async ({ engine }) => {
    expect(await engine.txn(txn([NEVER], [a, b], [a, b]))).toMatchObject({ succeeded: false, revision: 2 });
    expect(await keysOf(engine)).toBe("a b");
  });

  test("txn: takes as many operations as the limit, and refuses one more", { history: true }, async ({ engine }) => {
    const puts = (count: number) => Array.from({ length: count }, (_, index) => put(`k${index}`, ""));
    const compares = (count: number) => Array.from({ length: count }, () => ALWAYS);
    await expectRefusal(engine, txn([], puts(MAX_TXN_OPERATIONS + 1)), "tooManyOperations");
    await expectRefusal(engine, txn([], [], puts(MAX_TXN_OPERATIONS + 1)), "tooManyOperations");
    await expectRefusal(engine, txn(compares(MAX_TXN_OPERATIONS + 1), []), "tooManyOperations");
    const most = txn(compares(MAX_TXN_OPERATIONS), puts(MAX_TXN_OPERATIONS), puts(MAX_TXN_OPERATIONS));
    expect(await engine.txn(most)).toMatchObject({ succeeded: true, revision: 2 });
    expect((await engine.range({ ...ALL, countOnly: true })).count).toBe(MAX_TXN_OPERATIONS);
  });

  test("txn: what stands above a nested transaction counts against its limit", {}, async ({ engine }) => {
    const reads = (count: number) => Array.from({ length: count }, () => get(one("a")));
    const request = (outside: number, inside: number) =>
      txn([], [...reads(outside - 1), nested([], reads(inside))], reads(outside));
    await expectRefusal(engine, request(1, MAX_TXN_OPERATIONS), "tooManyOperations");
    expect(await engine.txn(request(1, MAX_TXN_OPERATIONS - 1))).toMatchObject({ succeeded: true });
    await expectRefusal(engine, request(100, MAX_TXN_OPERATIONS - 99), "tooManyOperations");
    expect(await engine.txn(request(100, MAX_TXN_OPERATIONS - 100))).toMatchObject({ succeeded: true });
  });

  test("txn: refuses an empty key, whichever branch it is in", {}, async ({ engine }) => {
    for (const operation of [put("", "1"), get(one("")), del(one("")), nested([], [put("", "1")])]) {
      await expectRefusal(engine, txn([], [a, operation]), "invalidArgument");
      await expectRefusal(engine, txn([], [a], [operation]), "invalidArgument");
    }
    await expectRefusal(engine, txn([{ ...ALWAYS, ...one("") }], [a]), "invalidArgument");
  });

  test("txn: refuses a value beside ignoreValue, and a lease beside ignoreLease", {}, async ({ engine }) => {
    await engine.grantLease({ id: 7n, ttl: 60 });
    await apply(engine, put("c", "1"));
    await expectRefusal(engine, txn([], [a, put("c", "1", { ignoreValue: true })]), "invalidArgument");
    await expectRefusal(engine, txn([], [a, put("c", "1", { ignoreLease: true, lease: 7n })]), "invalidArgument");
  });

  test("txn: refuses to keep the value or lease of a key that does not exist", {}, async ({ engine }) => {
    await apply(engine, put("c", "1"));
    await expectRefusal(engine, txn([], [a, put("b", "", { ignoreValue: true })]), "keyNotFound");
    await expectRefusal(engine, txn([], [a, put("b", "1", { ignoreLease: true })]), "keyNotFound");
    await expectRefusal(engine, txn([], [a, nested([], [put("b", "1", { ignoreLease: true })])]), "keyNotFound");
    expect(await engine.txn(txn([], [a], [put("b", "", { ignoreValue: true })]))).toMatchObject({ succeeded: true });
  });

  test("txn: refuses an unknown lease on the path that is taken", {}, async ({ engine }) => {
    await expectRefusal(engine, txn([], [a, put("b", "1", { lease: 9n })]), "leaseNotFound");
    await expectRefusal(engine, txn([], [a, nested([], [put("b", "1", { lease: 9n })])]), "leaseNotFound");
    expect(await engine.txn(txn([], [a], [put("b", "1", { lease: 9n })]))).toMatchObject({ succeeded: true });
  });

  test("txn: refuses a range at a future or compacted revision on the path that is taken", {
    needs: ["compaction"],
  }, async ({ engine }) => {
    await apply(engine, a);
    await apply(engine, a);
    await apply(engine, a);
    await engine.compact(3);
    await expectRefusal(engine, txn([], [get(one("a"), { revision: 5 })]), "futureRevision");
    await expectRefusal(engine, txn([], [b, get(one("a"), { revision: 5 })]), "futureRevision");
    await expectRefusal(engine, txn([], [b, nested([], [get(one("a"), { revision: 5 })])]), "futureRevision");
    await expectRefusal(engine, txn([], [get(one("a"), { revision: 2 })]), "compacted");
    await expectRefusal(engine, txn([], [b, nested([], [get(one("a"), { revision: 2 })])]), "compacted");
    const untaken = txn([], [get(one("a"), { revision: 3 }), b], [get(one("a"), { revision: 9 })]);
    expect(await engine.txn(untaken)).toMatchObject({ succeeded: true, revision: 5 });
  });

  test("txn: refuses a key that is too long before anything is written", {}, async ({ engine }) => {
    const long = (bytes: number) => put("k".repeat(bytes), "1");
    await expectRefusal(engine, txn([], [a, long(MAX_KEY_BYTES + 1)]), "keyTooLong");
    await expectRefusal(engine, txn([], [a, nested([], [b, long(MAX_KEY_BYTES + 1)])]), "keyTooLong");
    await apply(engine, long(MAX_KEY_BYTES));
    expect(await keysOf(engine)).toBe("k".repeat(MAX_KEY_BYTES));
    await apply(engine, put("k".repeat(MAX_KEY_BYTES), "2"));
    await apply(engine, del(one("k".repeat(MAX_KEY_BYTES))));
    expect(await keysOf(engine)).toBe("");
  });

  test("txn: a key that is too long is in no range", { history: true }, async ({ engine }) => {
    const long = "k".repeat(5000);
    await apply(engine, put("k", "1"));
    expect(await keysOf(engine, one(long))).toBe("");
    expect(await keysOf(engine, from(long))).toBe("");
    expect(await keysOf(engine, between("a", long))).toBe("k");
    expect(await engine.txn(txn([{ ...ALWAYS, ...one(long) }], [del(one(long))]))).toMatchObject({
      succeeded: true,
      revision: 2,
    });
  });
});
