import { expect, test } from "vitest";
import { Allowance } from "./allowance.ts";

test("gives a burst, then so much a second, and never more than a burst", () => {
  let now = 0;
  const allowance = new Allowance({ burst: 3, perSecond: 2, monotonic: () => now });
  const takeAll = () => {
    let taken = 0;
    while (allowance.take()) taken++;
    return taken;
  };
  expect(takeAll()).toBe(3);
  expect(takeAll()).toBe(0);
  now = 1_000;
  expect(takeAll()).toBe(2);
  now = 1_250;
  expect(takeAll()).toBe(0);
  now = 1_500;
  expect(takeAll()).toBe(1);
  now = 100_000;
  expect(takeAll()).toBe(3);
});
