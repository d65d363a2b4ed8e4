import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { TurnLines } from "./turn-lines.ts";

const written: string[] = [];

function gathering(): TurnLines {
  written.length = 0;
  return new TurnLines({ write: (text) => written.push(text) });
}

it("writes the lines of one turn at once, in their order", async () => {
  const lines = gathering();
  lines.write("a\n");
  lines.write("b\n");
  expect(written).toEqual([]);
  await nextTurn();
  expect(written).toEqual(["a\nb\n"]);
  lines.write("c\n");
  await nextTurn();
  expect(written).toEqual(["a\nb\n", "c\n"]);
});

it("writes when it is told to, and then no more", async () => {
  const lines = gathering();
  lines.write("a\n");
  lines.flushSync();
  expect(written).toEqual(["a\n"]);
  await nextTurn();
  expect(written).toEqual(["a\n"]);
});

it("keeps no more than a few lines back", () => {
  const lines = gathering();
  const long = `${"x".repeat(40_000)}\n`;
  lines.write(long);
  lines.write(long);
  expect(written).toEqual([long + long]);
});
