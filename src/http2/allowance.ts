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

  /** Takes so many; false where fewer are left. */
  take(times = 1): boolean {
    if (this.#left < times) this.#refill();
    if (this.#left < times) return false;
    this.#left -= times;
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
