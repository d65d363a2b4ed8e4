/** How the benchmarks count; what they measure, `npm run bench` shows. */
import { expect, test } from "vitest";
import { reportOf } from "../bench/lib/report.ts";
import { alternate } from "../bench/lib/rounds.ts";
import { ratios, shown, spreadOf, unevenness } from "../bench/lib/statistics.ts";

test("alternate: every side is measured once a round, in turns of the order, and warm-ups do not count", async () => {
  const order: string[] = [];
  const sides = ["a", "b"].map((name) => ({
    name,
    measure: async (round: number) => {
      order.push(`${name}${round}`);
      return `${name}${round}`;
    },
  }));
  const results = await alternate(sides, { warmUps: 1, rounds: 3 });
  expect(order).toEqual(["b-1", "a-1", "a0", "b0", "b1", "a1", "a2", "b2"]);
  expect(results).toEqual([
    ["a0", "a1", "a2"],
    ["b0", "b1", "b2"],
  ]);
});

test("spreadOf: the median of an even number of values lies between the middle ones", () => {
  expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, least: 1, most: 4 });
  expect(spreadOf([10, 1, 3])).toEqual({ median: 3, least: 1, most: 10 });
});

test("ratios: taken round by round, so that a slow round of both sides does not show", () => {
  expect(ratios([10, 1], [20, 2])).toEqual([0.5, 0.5]);
  expect(
    unevenness([
      [10, 1],
      [20, 2],
      [15, 4],
    ]),
  ).toEqual([2, 4]);
});

test("shown: three digits that say something", () => {
  expect([12_345.6, 999.4, 0.123_45].map(shown)).toEqual(["12,300", "999", "0.123"]);
});

test.each([
  [[1.0, 1.31], "reached"],
  [[1.0, 1.29], "falls short"],
  [[1.9, 2.1], "aim reached"],
])("reportOf: a ratio of %j to be at least 1.3, better 2: %s", (values, verdict) => {
  const ratio = { label: "ours / theirs", values, required: { atLeast: 1.3 }, aim: { atLeast: 2 } };
  const report = reportOf({ title: "T", conditions: "C", rows: [], ratios: [ratio] });
  expect(report.split("\n").find((line) => line.startsWith("| ours"))).toMatch(new RegExp(`\\| ${verdict} +\\|$`));
});
