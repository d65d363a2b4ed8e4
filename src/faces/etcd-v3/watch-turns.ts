/** Who may write to a stream: one at a time, in the order in which they came. */
export class WatchTurns {
  #busy = false;
  #waiting: (() => void)[] = [];
  /** How many of those that waited have had their turn. */
  #served = 0;

  /**
   * Does `work` when it is its turn. What is worth keeping only until it is sent is best made in `work`: who waits for a
   * client that does not read then keeps nothing.
   */
  async take(work: () => Promise<void>): Promise<void> {
    if (this.#busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy = true;
    try {
      await work();
    } finally {
      this.#pass();
    }
  }

  /** The next one takes over before anybody else can come between. */
  #pass(): void {
    const next = this.#waiting[this.#served];
    if (next === undefined) {
      this.#waiting = [];
      this.#served = 0;
      this.#busy = false;
      return;
    }
    this.#served++;
    if (this.#served > this.#waiting.length / 2) {
      this.#waiting = this.#waiting.slice(this.#served);
      this.#served = 0;
    }
    next();
  }
}
