import { expect, it } from "vitest";
import type { WriteOutcome } from "./history.ts";
import { untilAnswered, untilDone } from "./recovery.ts";

const DONE: WriteOutcome = { kind: "done", revision: 7 };

it("a write that an election refuses is made anew, each time as another", async () => {
  const outcomes: WriteOutcome[] = [{ kind: "refused", why: "no leader" }, { kind: "unknown", why: "time" }, DONE];
  let attempts = 0;
  expect(await untilDone(async () => outcomes[attempts++] ?? DONE)).toBe(DONE);
  expect(attempts).toBe(3);
});

it("a write that is never done is given up with what the last attempt came to", async () => {
  const refused: WriteOutcome = { kind: "refused", why: "no leader" };
  expect(await untilDone(async () => refused, 0)).toBe(refused);
});

it("a read is made anew until it is answered, and given up when the time is over", async () => {
  let attempts = 0;
  expect(await untilAnswered(async () => (++attempts === 2 ? "there" : undefined))).toBe("there");
  expect(await untilAnswered(async () => undefined, 0)).toBeUndefined();
});
