import { expect, test } from "vitest";
import { RandomPool } from "./random-pool.ts";

test("RandomPool.take: no bytes are given twice, also when the pool is filled again", () => {
  const pool = new RandomPool();
  const tokens = Array.from({ length: 2000 }, () => Buffer.from(pool.take(16)).toString("hex"));
  expect(new Set(tokens).size).toBe(tokens.length);
  expect(tokens).not.toContain("00".repeat(16));
});

test("RandomPool.take: what was taken stays as it is", () => {
  const pool = new RandomPool();
  const first = pool.take(16);
  const copy = Buffer.from(first).toString("hex");
  for (let round = 0; round < 1000; round++) pool.take(16);
  expect(Buffer.from(first).toString("hex")).toBe(copy);
});
