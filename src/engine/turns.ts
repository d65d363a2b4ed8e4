import { READ_SLICE_MS } from "../base/limits.ts";

/**
 * Turns of the event loop: of all long reads under way one does a slice in a turn, and those that begin in it take no
 * longer together. So whatever else is asked waits for two slices, however many read.
 */
export class Turns {
  readonly #monotonic: () => number;
  readonly #waiting: (() => void)[] = [];
  /** Reads that are to begin in a later turn, as this one's time for beginnings is spent. */
  readonly #beginnings: (() => void)[] = [];
  #spentMs = 0;

  /** `monotonic` tells the time in ms and never jumps. */
  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
  }

  /**
   * Does the first work of a read, which must be short: at once where the turn has time left, else in a later turn, after
   * those who came before. Whoever reads again and again waits behind all others each time.
   */
  begin<T>(work: () => T): T | Promise<T> {
    if (this.#beginnings.length === 0 && this.#spentMs < READ_SLICE_MS) {
      return this.#spend(work);
    }
    return new Promise((resolve, reject) => {
      this.#beginnings.push(() => {
        try {
          resolve(this.#spend(work));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Resolves in a turn that nobody else here has. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) {
        setImmediate(() => this.#give());
      }
    });
  }

  #spend<T>(work: () => T): T {
    const began = this.#monotonic();
    try {
      return work();
    } finally {
      const ms = this.#monotonic() - began;
      if (ms > 0 && this.#spentMs === 0) {
        setImmediate(this.#startTurn);
      }
      this.#spentMs += ms;
    }
  }

  readonly #startTurn = (): void => {
    this.#spentMs = 0;
    while (this.#spentMs < READ_SLICE_MS && this.#beginnings.length > 0) {
      this.#beginnings.shift()?.();
    }
  };

  #give(): void {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) {
      setImmediate(() => this.#give());
    }
  }
}

/** Shared by all engines of the process: there is one event loop. */
export const turns: Turns = new Turns();
