import { expect, test } from "vitest";
import { longPlan, type PlanOptions, shortPlan } from "./fault-plan.ts";

const WHOLE: PlanOptions = { musters: 3, etcds: 3, canCut: true, relayed: 2 };

function first(count: number, seed: number) {
  const steps = [];
  for (const step of longPlan(seed, WHOLE)) {
    steps.push(step);
    if (steps.length === count) break;
  }
  return steps;
}

test("a plan comes back with its seed, and another seed brings another", () => {
  expect(shortPlan(7, WHOLE)).toEqual(shortPlan(7, WHOLE));
  expect(shortPlan(7, WHOLE)).not.toEqual(shortPlan(8, WHOLE));
  expect(first(30, 7)).toEqual(first(30, 7));
});

test.each([1, 2, 3, 4, 5])("a short plan leaves none out of what must befall (seed %i)", (seed) => {
  const kinds = shortPlan(seed, WHOLE).flatMap(({ faults }) => faults.map(({ kind }) => kind));
  expect(new Set(kinds)).toEqual(
    new Set([
      ...["killEtcds", "stopEtcd", "cutEtcd", "killMusters"],
      ...["stopMuster", "cutMuster", "loseAnswers", "loseStoreAnswers", "shiftClock"],
    ]),
  );
  const kills = shortPlan(seed, WHOLE).flatMap(({ faults }) =>
    faults.flatMap((fault) => (fault.kind === "killEtcds" ? [fault.which] : [])),
  );
  expect(kills.sort()).toEqual(["follower", "leader", "two"]);
});

test("what the machine or the store does not have is not planned", () => {
  const kinds = shortPlan(1, { ...WHOLE, canCut: false }).flatMap(({ faults }) => faults.map(({ kind }) => kind));
  expect(kinds).not.toContain("cutEtcd");
  expect(kinds).not.toContain("loseAnswers");
  const alone = shortPlan(1, { musters: 1, etcds: 0, canCut: false });
  expect(alone.flatMap(({ faults }) => faults.map(({ kind }) => kind)).sort()).toEqual([
    "killMusters",
    "shiftClock",
    "stopMuster",
  ]);
});

test("a long plan has faults that befall together, and the loss of the whole store", () => {
  const steps = first(100, 3);
  expect(steps.some(({ faults }) => faults.length > 1)).toBe(true);
  const all = steps.filter(({ faults }) => faults.some((each) => each.kind === "killEtcds" && each.which === "all"));
  expect(all.length).toBeGreaterThan(0);
});
