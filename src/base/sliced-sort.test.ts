import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sortInSlices } from "./sliced-sort.ts";

interface Thing {
  readonly rank: number;
  readonly place: number;
}

describe("sortInSlices", () => {
  it("sorts as the language does, stably, however often it has to yield", () => {
    const ranks = fc.array(fc.nat({ max: 50 }), { maxLength: 5000, size: "max" });
    fc.assert(
      fc.property(ranks, fc.integer({ min: 1, max: 50 }), (given, pause) => {
        const things: Thing[] = given.map((rank, place) => ({ rank, place }));
        const order = (a: Thing, b: Thing) => a.rank - b.rank;
        let asked = 0;
        const work = sortInSlices([...things], order, () => ++asked % pause === 0);
        let step = work.next();
        while (step.done !== true) {
          step = work.next();
        }
        expect(step.value).toEqual([...things].sort(order));
      }),
      { numRuns: 30 },
    );
  });
});
