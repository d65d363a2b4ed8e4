/** Whether a clock agrees with those of its peers. */
import { MAX_PEER_CLOCK_MS } from "../base/peer-clock-limits.ts";

export interface Agreement {
  /** How far the middle of all clocks, this one among them, is ahead of this one, in ms. */
  readonly offMs: number;
  /** Whether that is too far. */
  readonly isOff: boolean;
  /** How far the peers' time is ahead, in ms, where most of all clocks agree on one and this is not among them; else 0. */
  readonly correctionMs: number;
  /** How many clocks that are, this one among them. */
  readonly clocks: number;
}

/** `differences`: how far each peer's clock is ahead of this one, in ms. Alone, a clock agrees. */
export function agreementOf(differences: readonly number[]): Agreement {
  const all = [0, ...differences];
  const offMs = medianOf(all);
  const isOff = Math.abs(offMs) > MAX_PEER_CLOCK_MS;
  const agreeing = all.filter((difference) => Math.abs(difference - offMs) <= MAX_PEER_CLOCK_MS).length;
  return { offMs, isOff, correctionMs: isOff && agreeing * 2 > all.length ? offMs : 0, clocks: all.length };
}

/** Of an even number the mean of the two in the middle: two clocks that disagree are both off. */
function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? 0;
  const lower = sorted[(sorted.length - 1) >> 1] ?? 0;
  return (lower + upper) / 2;
}
