/** How often a client may do what costs the server more than the client: a burst, and so often a second after it. */

export interface AllowanceOptions {
  readonly burst: number;
  readonly perSecond: number;
  /** In ms. */
  readonly monotonic: () => number;
}

export class Allowance {
  readonly #options: AllowanceOptions;
  #left: number;
  #lookedAt: number;

  constructor(options: AllowanceOptions) {
    this.#options = options;
    this.#left = options.burst;
    this.#lookedAt = options.monotonic();
  }

  /** Takes one; false where there is none left. */
  take(): boolean {
    if (this.#left < 1) this.#refill();
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /** The clock is looked at only when all are used up. */
  #refill(): void {
    const { burst, perSecond, monotonic } = this.#options;
    const now = monotonic();
    this.#left = Math.min(burst, this.#left + ((now - this.#lookedAt) / 1000) * perSecond);
    this.#lookedAt = now;
  }
}
