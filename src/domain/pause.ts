/** A wait that can be cut short: by whoever closes what waits. */
export class Pause {
  #end: () => void = () => {};
  #isOver = false;

  /** Resolves after so many ms, or when `end` is called; at once where it has been. */
  wait(ms: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the wait that is under way, and all to come. */
  end(): void {
    this.#isOver = true;
    this.#end();
  }
}
