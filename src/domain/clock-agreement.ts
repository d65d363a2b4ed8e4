/** Whether a clock agrees with those of its peers. */
import { MAX_PEER_CLOCK_MS } from "../base/peer-clock-limits.ts";

export interface Agreement {
  /** How far the middle of all clocks, this one among them, is ahead of this one, in ms. */
  readonly offMs: number;
  /** Whether that is too far. */
  readonly isOff: boolean;
  /** Whether more than half of all clocks are near the middle, and are there now. */
  readonly isBorneOut: boolean;
  /** How far the peers' time is ahead, in ms, where it is borne out and this clock is off; else 0. */
  readonly correctionMs: number;
  /** How many clocks that are, this one among them. */
  readonly clocks: number;
}

/**
 * `differences`: how far each peer's clock is ahead of this one, in ms; `present`: of those that are known to be there
 * now. Who has left, or may have died, keeps a clock in doubt, and bears none out. Alone, a clock agrees.
 */
export function agreementOf(differences: readonly number[], present: readonly number[] = differences): Agreement {
  const all = [0, ...differences];
  const offMs = medianOf(all);
  const isOff = Math.abs(offMs) > MAX_PEER_CLOCK_MS;
  const agreeing = [0, ...present].filter((difference) => Math.abs(difference - offMs) <= MAX_PEER_CLOCK_MS).length;
  const isBorneOut = agreeing * 2 > all.length;
  return { offMs, isOff, isBorneOut, correctionMs: isOff && isBorneOut ? offMs : 0, clocks: all.length };
}

/** Of an even number the mean of the two in the middle: two clocks that disagree are both off. */
function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? 0;
  const lower = sorted[(sorted.length - 1) >> 1] ?? 0;
  return (lower + upper) / 2;
}
