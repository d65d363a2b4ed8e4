/** The clock of one process among several, for everything that keeps or ends times. */
import type { Clock } from "../base/clock.ts";

/** How the process's own clock stands to its peers'. */
export interface Comparison {
  /** Whether it is not known what time the peers have. */
  readonly isUncertain: boolean;
  /** Whether the own clock agrees with theirs. */
  readonly isTrusted: boolean;
  /** How far their time is ahead, where they agree and the own clock does not; in ms. */
  readonly correctionMs: number;
}

export class ComparedClock implements Clock {
  readonly #comparison: Comparison;
  readonly #own: Clock;

  constructor(comparison: Comparison, own: Clock) {
    this.#comparison = comparison;
    this.#own = own;
  }

  get isUncertain(): boolean {
    return this.#comparison.isUncertain;
  }

  now(): number {
    return this.#own.now() + this.#comparison.correctionMs;
  }

  monotonic(): number {
    return this.#own.monotonic();
  }

  timeOver(): number {
    return this.#comparison.isTrusted ? this.#own.now() : 0;
  }
}
