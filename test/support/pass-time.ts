/** Time that a test makes pass, where `setTimeout` is vitest's. */
import { setImmediate as turn } from "node:timers/promises";
import { vi } from "vitest";

const STEP_MS = 50;

/** More than any call of a SharedStore takes, and the answer to what it tells. */
const TURNS_PER_STEP = 25;

/** Lets time pass, in which all calls go through; until something is so. Gives how much it was, in ms. */
export async function passTime(ms: number, isEnough: () => boolean = () => false): Promise<number> {
  for (let passed = 0; passed < ms; passed += STEP_MS) {
    for (let turns = 0; turns < TURNS_PER_STEP; turns++) await turn();
    if (isEnough()) return passed;
    vi.advanceTimersByTime(STEP_MS);
  }
  return ms;
}
