import { expect, test } from "vitest";
import { NextRead } from "./next-read.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function stage() {
  const readings: { resolve(value: number): void; reject(error: Error): void }[] = [];
  const read = new NextRead(() => new Promise<number>((resolve, reject) => void readings.push({ resolve, reject })));
  return { read, readings };
}

test("next read: those who ask while one is on its way share the next one", async () => {
  const { read, readings } = stage();
  const first = read.ask();
  const others = [read.ask(), read.ask(), read.ask()];
  expect(readings).toHaveLength(1);
  readings[0]?.resolve(1);
  expect(await first).toBe(1);
  await turn();
  expect(readings).toHaveLength(2);
  const last = read.ask();
  readings[1]?.resolve(2);
  expect(await Promise.all(others)).toEqual([2, 2, 2]);
  await turn();
  readings[2]?.resolve(3);
  expect(await last).toBe(3);
});

test("next read: one that fails does not fail those behind it", async () => {
  const { read, readings } = stage();
  const first = read.ask();
  const second = read.ask();
  readings[0]?.reject(new Error("no"));
  await expect(first).rejects.toThrow("no");
  await turn();
  readings[1]?.resolve(2);
  expect(await second).toBe(2);
});
