import fc from "fast-check";
import { expect, test } from "vitest";
import { StreamTable } from "./stream-table.ts";

const step = fc.record({ id: fc.integer({ min: 0, max: 300 }).map((n) => 2 * n + 1), isAdded: fc.boolean() });

test("has what a Map would have, whatever is added and taken away", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600, size: "max" }), (steps) => {
      const table = new StreamTable<{ readonly id: number }>();
      const map = new Map<number, { readonly id: number }>();
      for (const { id, isAdded } of steps) {
        if (isAdded && !map.has(id)) {
          const stream = { id };
          table.add(stream);
          map.set(id, stream);
        } else if (!isAdded) {
          expect(table.delete(id)).toBe(map.delete(id));
        }
        expect(table.get(id)).toBe(map.get(id));
        expect(table.size).toBe(map.size);
      }
      for (const [id, stream] of map) expect(table.get(id)).toBe(stream);
      expect(
        table
          .all()
          .map(({ id }) => id)
          .sort((a, b) => a - b),
      ).toEqual([...map.keys()].sort((a, b) => a - b));
    }),
  );
});

test("finds streams quickly whose IDs were chosen to stand in one place", () => {
  const table = new StreamTable<{ readonly id: number }>();
  for (let n = 0; n < 4_096; n++) table.add({ id: 1 + 2 * 8_192 * n });
  let found = 0;
  for (let round = 0; round < 100; round++) {
    for (let n = 0; n < 4_096; n++) if (table.get(1 + 2 * 8_192 * n) !== undefined) found++;
  }
  // 400,000 looks take a moment; along one row of all of them they would take many times the test's time-out.
  expect(found).toBe(100 * 4_096);
});
