/** Lets tasks that would get in each other's way run one after the other, first come first served. */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Whether anything under this key runs or waits. */
  isBusy(key: string): boolean {
    return this.#tails.has(key);
  }

  /** Runs a task when all that came before it under its key are done; resolves or rejects as it does. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const running = before.then(task);
    // Whoever waits next waits for the end of this task, however it ends; its error is the caller's alone.
    const tail = running.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    try {
      return await running;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
