import { expect, test } from "vitest";
import { consoleBlocks, outputPattern } from "./console-blocks.ts";

test("consoleBlocks: the blocks that are marked, as commands with their output", () => {
  const markdown = [
    "```console",
    "$ not run",
    "```",
    "```console test",
    "$ one \\",
    "    --flag",
    "its output",
    "",
    "$ two",
    "```",
  ].join("\n");
  expect(consoleBlocks(`${markdown}\n`)).toEqual([
    [
      { command: "one \\\n    --flag", output: ["its output", ""] },
      { command: "two", output: [] },
    ],
  ]);
});

test("outputPattern: what is new in every run may differ, nothing else", () => {
  const pattern = outputPattern(["http://h:1/0123456789abcdef0123456789abcdef", "…", "took … ms (a+b)"]);
  const token = "f".repeat(32);
  expect(`http://h:1/${token}\ntook 3 ms (a+b)\n`).toMatch(pattern);
  expect(`http://h:1/${token}\nx\ny\ntook 3 ms (a+b)\n`).toMatch(pattern);
  expect(`http://h:2/${token}\ntook 3 ms (a+b)\n`).not.toMatch(pattern);
  expect(`http://h:1/${token}\ntook 3 s\n`).not.toMatch(pattern);
  expect("").toMatch(outputPattern([]));
  expect("surprise\n").not.toMatch(outputPattern([]));
});
