import type { Clock } from "../../base/clock.ts";
import { STORE_DEADLINE_MS, STORE_TROUBLED_DEADLINE_MS } from "../../base/store-limits.ts";

/** Since when attempts have failed, none having succeeded since: calls are given less time then. */
export class EtcdTrouble {
  readonly #clock: Clock;
  /** When attempts began to fail, and when the last one did. */
  #trouble: { readonly since: number; readonly last: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An attempt failed. */
  failed(): void {
    const now = this.#clock.monotonic();
    this.#trouble = { since: this.#trouble?.since ?? now, last: now };
  }

  /** An attempt succeeded. */
  over(): void {
    this.#trouble = undefined;
  }

  /**
   * How long a call that begins now may take. A request of a client's may need several calls: those that begin in the
   * middle of trouble get what is left of the first one's time, or little.
   */
  deadlineMs(): number {
    const now = this.#clock.monotonic();
    if (this.#trouble !== undefined && now - this.#trouble.last > STORE_DEADLINE_MS) {
      // Nobody has tried for so long that nothing is known.
      this.#trouble = undefined;
    }
    const spentMs = this.#trouble === undefined ? 0 : now - this.#trouble.since;
    return Math.max(STORE_DEADLINE_MS - spentMs, STORE_TROUBLED_DEADLINE_MS);
  }
}
