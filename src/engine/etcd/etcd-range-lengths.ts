/** What calls have shown of how long the ranges are that they went over. */
import type { Clock } from "../../base/clock.ts";
import { STORE_KNOWN_RANGES, STORE_LONG_RANGE_KEPT_MS, STORE_LONG_RANGE_KEYS } from "../../base/store-limits.ts";

interface Known {
  /** Until when the range counts as long (a time of the clock's), because etcd told that it has many keys; 0: it is short. */
  readonly longUntil: number;
  /** Whether etcd, being well, did not answer the last call in time. */
  readonly isLate: boolean;
}

/** What calls have shown of how long the ranges are that they went over; of those that were seen last. */
export class EtcdRangeLengths {
  readonly #clock: Clock;
  /** By label; the one that was seen last is last. */
  readonly #known = new Map<string, Known>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined where it is not known, or was known too long ago. */
  of(label: string): "short" | "long" | undefined {
    const known = this.#known.get(label);
    if (known === undefined) return undefined;
    if (known.isLate || known.longUntil > this.#clock.monotonic()) return "long";
    return known.longUntil === 0 ? "short" : undefined;
  }

  /** A call went over so many keys. */
  told(label: string, keys: number): void {
    if (keys >= STORE_LONG_RANGE_KEYS) {
      this.#remember(label, { longUntil: this.#clock.monotonic() + STORE_LONG_RANGE_KEPT_MS, isLate: false });
    } else {
      // The last pages of a long range have few keys left: what was long stays so for a while.
      const { longUntil = 0 } = this.#known.get(label) ?? {};
      this.#remember(label, { longUntil: longUntil > this.#clock.monotonic() ? longUntil : 0, isLate: false });
    }
  }

  /** A call was not answered in time. */
  late(label: string): void {
    this.#remember(label, { longUntil: this.#known.get(label)?.longUntil ?? 0, isLate: true });
  }

  /** A call of a range that was short failed: it may have become long. */
  doubt(label: string): void {
    if (this.of(label) === "short") this.#known.delete(label);
  }

  #remember(label: string, known: Known): void {
    this.#known.delete(label);
    this.#known.set(label, known);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size > STORE_KNOWN_RANGES) this.#known.delete(oldest);
  }
}
