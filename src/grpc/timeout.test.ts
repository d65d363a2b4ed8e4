import { expect, test } from "vitest";
import { parseTimeout } from "./timeout.ts";

test.each([
  ["100m", 100],
  ["5S", 5_000],
  ["2M", 120_000],
  ["1H", 3_600_000],
  ["1500u", 1.5],
  ["1000000n", 1],
  ["0S", 0],
  ["99999999H", 2 ** 31 - 1],
])("parseTimeout: %s is %d ms", (header, ms) => {
  expect(parseTimeout(header)).toBeCloseTo(ms, 6);
});

test.each(["", "5", "S", "-1S", "1.5S", "123456789S", "5s", "5S ", "1HS"])("parseTimeout: %j is none", (header) => {
  expect(parseTimeout(header)).toBeUndefined();
});
