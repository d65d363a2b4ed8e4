import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

describe("parseDuration", () => {
  test.each([
    ["0", 0],
    ["0s", 0],
    ["168h", 604_800_000],
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["1.5s", 1_500],
    [".5h", 1_800_000],
    ["300ms", 300],
    ["2h0m3s", 7_203_000],
  ])("parseDuration: %s is %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(["1ns", "10us", "10µs"])("parseDuration: %s is short but not 0, which would mean never", (text) => {
    expect(parseDuration(text)).toBe(1);
  });

  test.each(["", "7d", "5", "-1h", "1h ", "h", "1h30", "1.2.3s", "1e3s", "Infinity", "1 h"])(
    "parseDuration: refuses %j",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

test.each([
  [0, "0s"],
  [300, "300ms"],
  [90_000, "1m30s"],
  [604_800_000, "168h"],
  [5_400_000, "1h30m"],
])("formatDuration: %d ms is %s, and read again the same", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
  expect(parseDuration(text)).toBe(ms);
});
