import { expect, test } from "vitest";
import { nearestName } from "./nearest.ts";

const NAMES = ["listen", "client-listen", "data-dir", "token-ttl"];

test.each([
  ["lisen", "listen"],
  ["clientlisten", "client-listen"],
  ["data_dir", "data-dir"],
  ["token-tll", "token-ttl"],
])("nearestName: %s is a slip for %s", (given, meant) => {
  expect(nearestName(given, NAMES)).toBe(meant);
});

test("nearestName: something quite different is no slip", () => {
  expect(nearestName("replicas", NAMES)).toBeUndefined();
});
