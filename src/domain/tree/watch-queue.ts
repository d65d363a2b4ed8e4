/** What a producer tells one reader: bounded, so that a reader who does not read is told so instead of filling memory. */
export class WatchQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #overflow: () => Error;
  #items: T[] = [];
  #end: { readonly error: unknown } | undefined;
  #wake: () => void = () => {};

  /** `overflow` makes the error that the reader gets where more than `limit` items wait. */
  constructor(limit: number, overflow: () => Error) {
    this.#limit = limit;
    this.#overflow = overflow;
  }

  /** Gives the reader an item; nothing happens when the queue has ended. */
  push(item: T): void {
    if (this.#end !== undefined) return;
    if (this.#items.length < this.#limit) {
      this.#items.push(item);
      this.#wake();
    } else {
      this.fail(this.#overflow());
    }
  }

  /** Ends the iteration after what is already there. */
  end(): void {
    this.#finish(undefined);
  }

  /** Ends the iteration with an error; what the reader has not read yet is dropped. */
  fail(error: unknown): void {
    this.#items = [];
    this.#finish(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const ready = this.#items;
      this.#items = [];
      yield* ready;
      if (this.#items.length > 0) continue;
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #finish(error: unknown): void {
    this.#end ??= { error };
    this.#wake();
  }
}
