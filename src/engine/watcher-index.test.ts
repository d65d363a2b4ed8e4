import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { prefixEnd, utf8 } from "../base/bytes.ts";
import { covers } from "./key-range.ts";
import type { KeyRange } from "./model.ts";
import { WatcherIndex } from "./watcher-index.ts";

const bytes = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 });
const ranges: fc.Arbitrary<KeyRange> = fc.oneof(
  bytes.map((key) => ({ key })),
  bytes.map((key) => ({ key, end: prefixEnd(key) })),
  fc.tuple(bytes, bytes).map(([key, end]) => ({ key, end })),
  bytes.map((key) => ({ key, end: null })),
);

describe("WatcherIndex", () => {
  it("find: answers with just the members whose range has the key, also after some are gone", () => {
    fc.assert(
      fc.property(fc.array(ranges, { maxLength: 12 }), fc.array(fc.nat(11)), bytes, (all, gone, key) => {
        const index = new WatcherIndex<number>();
        all.forEach((range, member) => {
          index.add(range, member);
        });
        for (const member of gone) {
          const range = all[member];
          if (range !== undefined) {
            index.remove(range, member);
          }
        }
        const left = all.map((_, member) => member).filter((member) => !gone.includes(member));
        const expected = left.filter((member) => covers(all[member] ?? { key }, key));
        expect([...index.find(key)].sort((a, b) => a - b)).toEqual(expected);
        expect(index.size).toBe(left.length);
      }),
    );
  });

  it("remove: of one that shares its range leaves the other", () => {
    const index = new WatcherIndex<string>();
    const range = { key: utf8("/a/"), end: prefixEnd(utf8("/a/")) };
    index.add(range, "one");
    index.add(range, "two");
    index.remove(range, "one");
    index.remove(range, "one");
    expect([...index.find(utf8("/a/b"))]).toEqual(["two"]);
    index.remove(range, "two");
    expect([...index.find(utf8("/a/b"))]).toEqual([]);
  });
});
