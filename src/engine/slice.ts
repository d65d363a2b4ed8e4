/** How many units of work are done between two looks at the clock; a unit is about a key: a few µs. */
const UNITS_PER_LOOK = 64;

export interface SliceOptions {
  /** Time in ms that never jumps. */
  readonly monotonic: () => number;
  /** How long a slice lasts, in ms. */
  readonly ms: number;
  /** Units of work between two looks at the clock; default 64. */
  readonly unitsPerLook?: number;
}

/** A slice of work: says when it has taken long enough, and looks at the clock only now and then. */
export class Slice {
  /** Units of work between two looks at the clock: what is done in chunks is best done in chunks of so many. */
  readonly unitsPerLook: number;
  readonly #monotonic: () => number;
  readonly #ms: number;
  #deadline = Number.POSITIVE_INFINITY;
  #work = 0;

  constructor({ monotonic, ms, unitsPerLook = UNITS_PER_LOOK }: SliceOptions) {
    this.#monotonic = monotonic;
    this.#ms = ms;
    this.unitsPerLook = unitsPerLook;
  }

  /** Begins a new slice; `now`, if it is known, is the time in ms. */
  begin(now: number = this.#monotonic()): void {
    this.#deadline = now + this.#ms;
    this.#work = 0;
  }

  /** Notes work that was done, and answers whether the slice is over. Whoever is told so lets others run. */
  isOver(units = 1): boolean {
    this.#work += units;
    if (this.#work < this.unitsPerLook) {
      return false;
    }
    this.#work = 0;
    return this.#monotonic() >= this.#deadline;
  }
}
