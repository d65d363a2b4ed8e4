import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  changeKey,
  decodeChange,
  decodeChangeKey,
  decodeCount,
  decodeLeaseKey,
  decodeReplaced,
  decodeState,
  decodeVersion,
  encodeChange,
  encodeCount,
  encodeState,
  encodeVersion,
  LARGEST_LEASE_ID,
  leaseKey,
  modRevisionOf,
} from "./lmdb-schema.ts";

const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const lease = fc.bigInt({ min: 0n, max: LARGEST_LEASE_ID });
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const version = fc.record({ createRevision: number, modRevision: number, version: number, lease, value: bytes });

describe("lmdb-schema: what is encoded is decoded", () => {
  it("version records", () => {
    fc.assert(
      fc.property(bytes, version, (key, kv) => {
        const record = encodeVersion(kv);
        expect(decodeVersion(key, record)).toEqual({ key, ...kv });
        expect(modRevisionOf(record)).toBe(kv.modRevision);
      }),
    );
  });

  it("change records, with and without what was replaced", () => {
    const change = fc.record({
      kind: fc.constantFrom("put" as const, "delete" as const),
      key: fc.uint8Array({ minLength: 1, maxLength: 2000 }).map((array) => Buffer.from(array)),
      createRevision: number,
      version: number,
      lease,
      previous: fc.option(version.map(encodeVersion), { nil: undefined }),
    });
    fc.assert(
      fc.property(change, (each) => {
        const record = encodeChange(each);
        expect(decodeChange(record)).toEqual(each);
        const { key, previous } = each;
        const replaced = previous === undefined ? undefined : { key, modRevision: modRevisionOf(previous) };
        expect(decodeReplaced(record)).toEqual(replaced);
      }),
    );
  });

  it("state, also of a store that was never compacted, or to 0", () => {
    for (const compactRevision of [-1, 0, 1, 2 ** 40]) {
      expect(decodeState(encodeState({ revision: 2 ** 41, compactRevision }))).toEqual({
        revision: 2 ** 41,
        compactRevision,
      });
    }
  });

  it("leases and counts", () => {
    fc.assert(
      fc.property(lease, number, (id, count) => {
        expect(decodeLeaseKey(leaseKey(id))).toBe(id);
        expect(decodeCount(encodeCount(count))).toBe(count);
      }),
    );
  });
});

describe("lmdb-schema: changeKey", () => {
  it("sorts by revision, then by place in it", () => {
    const place = fc.tuple(number, fc.nat(0xffffffff));
    fc.assert(
      fc.property(place, place, ([main, sub], [otherMain, otherSub]) => {
        const order = main === otherMain ? sub - otherSub : main - otherMain;
        expect(Math.sign(Buffer.compare(changeKey(main, sub), changeKey(otherMain, otherSub)))).toBe(Math.sign(order));
        expect(decodeChangeKey(changeKey(main, sub))).toEqual({ main, sub });
      }),
    );
  });
});
