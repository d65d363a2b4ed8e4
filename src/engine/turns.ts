import { READ_SLICE_MS } from "../base/limits.ts";

/**
 * Turns of the event loop: of all long reads under way one does a slice in a turn, and those that begin in it take no
 * longer together. So whatever else is asked waits for two slices, however many read.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #spentMs = 0;

  /** Whether reads that began in this turn have taken so long together that the next one has to begin in a later turn. */
  get isSpent(): boolean {
    return this.#spentMs >= READ_SLICE_MS;
  }

  /** Notes what the beginning of a read took in this turn. */
  spend(ms: number): void {
    if (ms > 0 && this.#spentMs === 0) {
      setImmediate(() => {
        this.#spentMs = 0;
      });
    }
    this.#spentMs += ms;
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

  #give(): void {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) {
      setImmediate(() => this.#give());
    }
  }
}

/** Shared by all engines of the process: there is one event loop. */
export const turns: Turns = new Turns();
