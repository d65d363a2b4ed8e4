/**
 * Shares the event loop between those who ask much and those who ask little: work is taken up in turns, a slice of time
 * in each, and in a turn everybody who has work waiting gets some of it done, one piece each, round after round.
 */
import { FAIR_SLICE_MS } from "./limits.ts";

export class FairTurns {
  readonly #monotonic: () => number;
  /** What waits, by whose it is; in the order in which their turns come. */
  #waiting = new Map<string, (() => void)[]>();
  #turnBegan: number | undefined;
  #drains = false;

  /** `monotonic`: time in ms that never jumps. */
  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
  }

  /**
   * Call it before a piece of work of `owner`'s. Undefined where it may be done at once; else a promise that resolves
   * when it may.
   */
  enter(owner: string): Promise<void> | undefined {
    if (this.#waiting.size === 0 && this.#hasTime()) return undefined;
    return new Promise((resolve) => {
      const queue = this.#waiting.get(owner);
      if (queue === undefined) this.#waiting.set(owner, [resolve]);
      else queue.push(resolve);
      if (!this.#drains) {
        this.#drains = true;
        setImmediate(this.#drain);
      }
    });
  }

  /** Whether work that begins at once still fits into this turn of the event loop. */
  #hasTime(): boolean {
    const now = this.#monotonic();
    if (this.#turnBegan === undefined) {
      this.#turnBegan = now;
      setImmediate(() => {
        this.#turnBegan = undefined;
      });
      return true;
    }
    return now - this.#turnBegan < FAIR_SLICE_MS;
  }

  readonly #drain = (): void => {
    this.#drainUntil(this.#monotonic() + FAIR_SLICE_MS);
  };

  /** One piece after the other: the next begins when all that the last one did without waiting is done. */
  #drainUntil(deadline: number): void {
    this.#takeNext()?.();
    // A tick asked for in a microtask comes when no microtask is left: the piece has then done what it could.
    queueMicrotask(() => process.nextTick(() => this.#goOn(deadline)));
  }

  #goOn(deadline: number): void {
    if (this.#waiting.size === 0) {
      this.#drains = false;
      // One that entries come to and leave for long keeps V8 from collecting what was in it with the young.
      this.#waiting = new Map();
    } else if (this.#monotonic() >= deadline) setImmediate(this.#drain);
    else this.#drainUntil(deadline);
  }

  #takeNext(): (() => void) | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [owner, queue] = first;
    const next = queue.shift();
    this.#waiting.delete(owner);
    if (queue.length > 0) this.#waiting.set(owner, queue);
    return next;
  }
}

/** Shared by all faces of the process: there is one event loop. */
export const fairTurns: FairTurns = new FairTurns();
