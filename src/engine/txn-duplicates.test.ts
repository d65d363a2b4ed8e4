import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fastest } from "../../test/support/walk-time.ts";
import { utf8 } from "../base/bytes.ts";
import { isMusterError } from "../base/errors.ts";
import { checkTxn as checkTxnPlainly } from "./memory/memory-txn-check.ts";
import type { Operation } from "./model.ts";
import { checkDuplicates } from "./txn-duplicates.ts";

const put = (key: string): Operation => ({ kind: "put", request: { key: utf8(key), value: utf8("") } });
const del = (key: string, end?: string | null): Operation => ({
  kind: "deleteRange",
  request: { key: utf8(key), ...(end === undefined ? {} : { end: end === null ? null : utf8(end) }) },
});
const nested = (success: readonly Operation[], failure: readonly Operation[] = []): Operation => ({
  kind: "txn",
  request: { compares: [], success, failure },
});

function refuses(check: () => void): boolean {
  try {
    check();
    return false;
  } catch (error) {
    if (isMusterError(error, "duplicateKey")) {
      return true;
    }
    throw error;
  }
}

const keys = fc.constantFrom("a", "b", "ba", "c", "d");
const { operations } = fc.letrec<{ operations: Operation[]; operation: Operation }>((tie) => ({
  operations: fc.array(tie("operation"), { maxLength: 4 }),
  operation: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    keys.map(put),
    fc.tuple(keys, fc.option(fc.option(keys, { nil: null }), { nil: undefined })).map(([key, end]) => del(key, end)),
    fc.tuple(tie("operations"), tie("operations")).map(([success, failure]) => nested(success, failure)),
  ),
}));

/** Writes nested two levels deep, `count` of them: half deletions, of keys and ranges, then half puts that none covers. */
function manyWrites(count: number): Operation[] {
  let made = 0;
  const group = (make: (at: number) => Operation) =>
    nested(
      Array.from({ length: 50 }, () => make(made++)),
      Array.from({ length: 50 }, () => make(made++)),
    );
  const deletes = (at: number) => (at % 2 === 0 ? del(`d${at}`) : del(`d${at}`, `d${at}x`));
  return Array.from({ length: count / 1000 }, (_, index) =>
    nested(Array.from({ length: 10 }, () => group(index < count / 2000 ? deletes : (at) => put(`p${at}`)))),
  );
}

describe("checkDuplicates", () => {
  it("refuses what the plain check of the reference engine refuses, and nothing else", () => {
    let refused = 0;
    fc.assert(
      fc.property(operations, (made) => {
        const plainly = refuses(() => checkTxnPlainly({ compares: [], success: made, failure: [] }));
        refused += plainly ? 1 : 0;
        expect(refuses(() => checkDuplicates(made))).toBe(plainly);
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it("does so also where there are few writes, or some more, of single keys", () => {
    const key = fc.nat({ max: 40 }).map((number) => `${number}`);
    const single = fc.oneof(
      { weight: 3, arbitrary: key.map(put) },
      key.map((each) => del(each)),
    );
    let refused = 0;
    fc.assert(
      fc.property(fc.array(single, { maxLength: 12 }), (made) => {
        const plainly = refuses(() => checkTxnPlainly({ compares: [], success: made, failure: [] }));
        refused += plainly ? 1 : 0;
        expect(refuses(() => checkDuplicates(made))).toBe(plainly);
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(1900);
  });

  it("sees the writes of both branches afterwards, whichever is the smaller", () => {
    for (const [success, failure] of [
      [[put("a")], [put("b"), put("c")]],
      [[put("b"), put("c")], [put("a")]],
    ] as const) {
      for (const key of ["a", "b", "c"]) {
        expect(refuses(() => checkDuplicates([nested(success, failure), put(key)]))).toBe(true);
      }
      expect(refuses(() => checkDuplicates([nested(success, failure), put("d")]))).toBe(false);
    }
  });

  it("takes time in proportion to the number of writes, or little more", () => {
    const [few, many] = [manyWrites(2_000), manyWrites(32_000)];
    checkDuplicates(many);
    // 16 times the writes: a comparison of each with each would take 256 times as long.
    expect(fastest(() => checkDuplicates(many))).toBeLessThan(100 * fastest(() => checkDuplicates(few)));
  });

  it("takes no more time for writes that are nested deep", () => {
    const deep = (depth: number) => {
      let operation = nested(manyWrites(16_000));
      for (let level = 0; level < depth; level++) {
        operation = nested([operation], [del(`x${level}`)]);
      }
      return [operation];
    };
    const [flat, nestedDeep] = [deep(0), deep(100)];
    checkDuplicates(flat);
    expect(fastest(() => checkDuplicates(nestedDeep))).toBeLessThan(4 * fastest(() => checkDuplicates(flat)));
  });
});
