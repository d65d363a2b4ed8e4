import { expect } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Compare, CompareResult, KeyRange } from "../../src/engine/model.ts";
import { onEveryBusyEngine } from "./engines.ts";
import { apply, between, from, one, prefix, put, txn } from "./requests.ts";

const RESULTS = ["equal", "notEqual", "greater", "less"] as const satisfies readonly CompareResult[];
const LEASE = 0x7000_0000_0000_0001n;

/** a: version 3, created at 2, changed at 4, value "mm", on a lease; ab: version 1, at 5, value "mm", no lease. */
async function fill(engine: Engine): Promise<void> {
  await engine.grantLease({ id: LEASE, ttl: 60 });
  await apply(engine, put("a", "1"));
  await apply(engine, put("a", "2"));
  await apply(engine, put("a", "mm", { lease: LEASE }));
  await apply(engine, put("ab", "mm"));
}

async function holds(engine: Engine, compare: Compare): Promise<boolean> {
  return (await engine.txn(txn([compare], []))).succeeded;
}

/** Which of the four results hold, for what is below, at and above what the store has. */
function table(compare: (result: CompareResult) => Compare, engine: Engine): Promise<readonly CompareResult[]> {
  return Promise.all(RESULTS.map(async (result) => ((await holds(engine, compare(result))) ? [result] : []))).then(
    (all) => all.flat(),
  );
}

const BELOW = ["notEqual", "greater"];
const AT = ["equal"];
const ABOVE = ["notEqual", "less"];

onEveryBusyEngine((test) => {
  for (const [target, value] of [
    ["version", 3],
    ["createRevision", 2],
    ["modRevision", 4],
  ] as const) {
    test(`compare: ${target} of one key, each result`, {}, async ({ engine }) => {
      await fill(engine);
      const at = (expected: number) => table((result) => ({ ...one("a"), target, result, expected }), engine);
      expect(await at(value - 1)).toEqual(BELOW);
      expect(await at(value)).toEqual(AT);
      expect(await at(value + 1)).toEqual(ABOVE);
      expect(await at(0)).toEqual(BELOW);
    });

    test(`compare: ${target} of a key that does not exist is 0`, {}, async ({ engine }) => {
      await fill(engine);
      const at = (expected: number) => table((result) => ({ ...one("b"), target, result, expected }), engine);
      expect(await at(0)).toEqual(AT);
      expect(await at(1)).toEqual(ABOVE);
    });
  }

  test("compare: value of one key, each result, as bytes", {}, async ({ engine }) => {
    await fill(engine);
    const at = (expected: string) =>
      table((result) => ({ ...one("a"), target: "value", result, expected: utf8(expected) }), engine);
    for (const below of ["", "m", "ml", "Z"]) {
      expect(await at(below)).toEqual(BELOW);
    }
    expect(await at("mm")).toEqual(AT);
    for (const above of ["mma", "n", "mn", "\u{10ffff}"]) {
      expect(await at(above)).toEqual(ABOVE);
    }
  });

  test("compare: value of a key that does not exist always fails", {}, async ({ engine }) => {
    await fill(engine);
    for (const expected of ["", "mm"]) {
      const at = (range: KeyRange) =>
        table((result) => ({ ...range, target: "value", result, expected: utf8(expected) }), engine);
      expect(await at(one("b"))).toEqual([]);
    }
  });

  test("compare: an empty value is one", {}, async ({ engine }) => {
    await apply(engine, put("e", ""));
    const at = (expected: string) =>
      table((result) => ({ ...one("e"), target: "value", result, expected: utf8(expected) }), engine);
    expect(await at("")).toEqual(AT);
    expect(await at("a")).toEqual(ABOVE);
  });

  test("compare: lease of one key, each result", {}, async ({ engine }) => {
    await fill(engine);
    const at = (key: string, expected: bigint) =>
      table((result) => ({ ...one(key), target: "lease", result, expected }), engine);
    expect(await at("a", LEASE - 1n)).toEqual(BELOW);
    expect(await at("a", LEASE)).toEqual(AT);
    expect(await at("a", LEASE + 1n)).toEqual(ABOVE);
    expect(await at("ab", 0n)).toEqual(AT);
    expect(await at("b", 0n)).toEqual(AT);
    expect(await at("b", 1n)).toEqual(ABOVE);
  });

  test("compare: over a range it must hold for every key", {}, async ({ engine }) => {
    await fill(engine);
    for (const range of [prefix("a"), between("a", "b"), from("a"), from("")]) {
      const at = (expected: number) => table((result) => ({ ...range, target: "version", result, expected }), engine);
      expect(await at(0)).toEqual(BELOW);
      expect(await at(1)).toEqual([]);
      expect(await at(2)).toEqual(["notEqual"]);
      expect(await at(4)).toEqual(ABOVE);
      const value = (expected: string) =>
        table((result) => ({ ...range, target: "value", result, expected: utf8(expected) }), engine);
      expect(await value("mm")).toEqual(AT);
      expect(await value("ml")).toEqual(BELOW);
      const lease = (expected: bigint) => table((result) => ({ ...range, target: "lease", result, expected }), engine);
      expect(await lease(0n)).toEqual([]);
      expect(await lease(1n)).toEqual(["notEqual"]);
    }
  });

  test("compare: a range without keys is as one key that does not exist", {}, async ({ engine }) => {
    await fill(engine);
    for (const range of [prefix("b"), between("b", "c"), between("c", "b"), from("b")]) {
      const at = (expected: number) =>
        table((result) => ({ ...range, target: "modRevision", result, expected }), engine);
      expect(await at(0)).toEqual(AT);
      expect(await at(1)).toEqual(ABOVE);
      expect(await table((result) => ({ ...range, target: "value", result, expected: utf8("") }), engine)).toEqual([]);
      expect(await table((result) => ({ ...range, target: "lease", result, expected: 0n }), engine)).toEqual(AT);
    }
  });

  test("compare: sees the newest revision only", {}, async ({ engine }) => {
    await fill(engine);
    await apply(engine, { kind: "deleteRange", request: one("a") });
    expect(await holds(engine, { ...one("a"), target: "version", result: "equal", expected: 0 })).toBe(true);
    expect(await holds(engine, { ...one("a"), target: "value", result: "equal", expected: utf8("mm") })).toBe(false);
  });
});
