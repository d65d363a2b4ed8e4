/** What a producer tells one reader: bounded, so that a reader who does not read is told so instead of filling memory. */

export interface WatchQueueOptions {
  /** Items that may wait. */
  readonly limit: number;
  /** Makes the error that the reader gets where more do. */
  overflow(): Error;
}

export class WatchQueue<T> implements AsyncIterable<T> {
  readonly #options: WatchQueueOptions;
  #items: T[] = NOTHING;
  #end: { readonly error: unknown } | undefined;
  #reader: QueueReader | undefined;

  constructor(options: WatchQueueOptions) {
    this.#options = options;
  }

  /** Gives the reader an item; nothing happens when the queue has ended. */
  push(item: T): void {
    if (this.#end !== undefined) return;
    if (this.#items.length < this.#options.limit) {
      if (this.#items.length === 0) this.#items = [item];
      else this.#items.push(item);
      this.#reader?.onReady();
    } else {
      this.fail(this.#options.overflow());
    }
  }

  /** Ends the iteration after what is already there. */
  end(): void {
    this.#finish(undefined);
  }

  /** Ends the iteration with an error; what the reader has not read yet is dropped. */
  fail(error: unknown): void {
    this.#items = NOTHING;
    this.#finish(error);
  }

  /** The item that has waited longest, without taking it; undefined where none does. */
  get first(): T | undefined {
    return this.#items[0];
  }

  /** Tells a reader that does not iterate: within the call where there is something to tell already. */
  tell(reader: QueueReader): void {
    this.#reader = reader;
    if (this.#items.length > 0 || this.#end !== undefined) reader.onReady();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const ready = this.#items;
      this.#items = NOTHING;
      yield* ready;
      if (this.#items.length > 0) continue;
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return;
      await new Promise<void>((resolve) => {
        this.#reader = { onReady: resolve };
      });
    }
  }

  #finish(error: unknown): void {
    this.#end ??= { error };
    this.#reader?.onReady();
  }
}

export interface QueueReader {
  /** There is another item, or the queue has ended. */
  onReady(): void;
}

/** Shared by all queues in which nothing waits, which are most; never written to. */
const NOTHING: never[] = [];
