/** What must work when all faults are over: on a starved machine a member may miss its leader, and an election refuses one attempt. */
import { setTimeout as sleep } from "node:timers/promises";
import type { WriteOutcome } from "./history.ts";

/** When the fault is over, all Musters serve, without a restart by hand; those that were killed are to be started again first. */
export const RECOVER_MS = 15_000;

const POLL_MS = 100;

/** Writes anew until it is done, or the time is over; gives what the last attempt came to. */
export async function untilDone(attempt: () => Promise<WriteOutcome>, withinMs = RECOVER_MS): Promise<WriteOutcome> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const outcome = await attempt();
    if (outcome.kind === "done") return outcome;
    await sleep(POLL_MS);
    if (performance.now() >= deadline) return outcome;
  }
}

/** Reads anew until there is an answer; undefined where none came in time. */
export async function untilAnswered<T>(
  attempt: () => Promise<T | undefined>,
  withinMs = RECOVER_MS,
): Promise<T | undefined> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await attempt();
    if (answer !== undefined || performance.now() >= deadline) return answer;
    await sleep(POLL_MS);
  }
}
