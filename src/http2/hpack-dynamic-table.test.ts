import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Field } from "./field.ts";
import { HpackDynamicTable } from "./hpack-dynamic-table.ts";

/** The same as a plain list, newest first. */
class ListedTable {
  fields: Field[] = [];
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.fields.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  add(field: Field): void {
    this.fields.unshift(field);
    this.resize(this.#maxBytes);
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    while (this.bytes > maxBytes) this.fields.pop();
  }
}

const act = fc.oneof(
  { arbitrary: fc.record({ add: fc.nat(60) }), weight: 20 },
  { arbitrary: fc.record({ add: fc.integer({ min: 1_000, max: 5_000 }) }), weight: 1 },
  { arbitrary: fc.record({ resize: fc.nat(4_096) }), weight: 1 },
  { arbitrary: fc.constant({ resize: 4_096 }), weight: 1 },
);

describe("HpackDynamicTable", () => {
  test("HpackDynamicTable: it holds what a list would, whatever is added and however it is resized", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 300, size: "max" }), (acts) => {
        const table = new HpackDynamicTable(4_096);
        const listed = new ListedTable(4_096);
        acts.forEach((one, at) => {
          if ("add" in one) {
            const field = new Field(`x-${at}`, "x".repeat(one.add));
            table.add(field);
            listed.add(field);
          } else {
            table.resize(one.resize);
            listed.resize(one.resize);
          }
          expect(table.count).toBe(listed.fields.length);
          expect(table.bytes).toBe(listed.bytes);
        });
        const held = listed.fields.map((_, age) => table.at(age));
        expect(held).toEqual(listed.fields);
        expect(table.at(listed.fields.length)).toBeUndefined();
      }),
    );
  });

  test("HpackDynamicTable: what is evicted is let go of, and so is all when it is cleared", () => {
    const table = new HpackDynamicTable(64);
    for (let at = 0; at < 100; at++) table.add(new Field("a", `${at % 10}`));
    expect(table.at(0)?.value).toBe("9");
    expect(table.at(1)).toBeUndefined();
    table.clear();
    expect([table.count, table.bytes, table.at(0)]).toEqual([0, 0, undefined]);
    expect(table.maxBytes).toBe(64);
  });
});
