/** Lets tasks that run side by side do one step in the order in which they were begun. */
export interface Place {
  /** Resolves when all before have left their place. */
  come(): Promise<void>;
  /** Lets the next one come. May be called again. */
  leave(): void;
}

export class InTurn {
  #last: Promise<void> = Promise.resolve();

  /** The place behind all that were given before. Who gets one must leave it, whatever happens. */
  next(): Place {
    const before = this.#last;
    let leave = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#last = before.then(() => left);
    return { come: () => before, leave };
  }
}
