import { expect, test } from "vitest";
import type { Write, WriteOutcome } from "./history.ts";
import { checkLeftOpen, countApplied } from "./left-open.ts";
import { PROTOCOLS, writerOf } from "./lost-store-answers.ts";

const UNKNOWN: WriteOutcome = { kind: "unknown", why: "no answer" };

function writes(count: number, outcome: WriteOutcome): readonly Write[] {
  return PROTOCOLS.flatMap((protocol) =>
    Array.from({ length: count }, (_, place): Write => {
      const client = `${writerOf(protocol)}0`;
      return {
        kind: "write",
        client,
        muster: "m3",
        key: "/k",
        value: `${client}.${place}`,
        begun: 0,
        ended: 1,
        outcome,
      };
    }),
  );
}

function logOf(operations: readonly Write[]) {
  return operations.map(({ key, value }, place) => ({ key, value, revision: place + 2 }));
}

test("a run with few writes of unknown outcome that were applied shows nothing, whatever the reason", () => {
  const open = writes(10, UNKNOWN);
  expect(countApplied({ operations: open, log: logOf(open) })).toBe(20);
  expect(checkLeftOpen({ operations: open, log: logOf(open) })).toEqual([]);
  const few = [
    expect.stringMatching(/^only \d of at least 10 v2/),
    expect.stringMatching(/^only \d of at least 10 v3/),
  ];
  expect(checkLeftOpen({ operations: writes(9, UNKNOWN), log: logOf(open) })).toEqual(few);
  expect(checkLeftOpen({ operations: open, log: [] })).toEqual(few);
  const answered = writes(10, { kind: "done", revision: 2 });
  expect(checkLeftOpen({ operations: answered, log: logOf(answered) })).toEqual(few);
});
