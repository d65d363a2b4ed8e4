/**
 * Shares one reading among all who ask while another is on its way: that one may have begun too early for them, the next
 * one has not begun yet.
 */
export class NextRead<Result> {
  readonly #read: () => Promise<Result>;
  #running: Promise<unknown> | undefined;
  #next: Promise<Result> | undefined;

  constructor(read: () => Promise<Result>) {
    this.#read = read;
  }

  /** A reading that began after this call. */
  ask(): Promise<Result> {
    if (this.#running === undefined) {
      return this.#begin();
    }
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#begin();
    });
    return this.#next;
  }

  #begin(): Promise<Result> {
    const reading = this.#read();
    const running = reading
      .catch(() => undefined)
      .then(() => {
        if (this.#running === running) this.#running = undefined;
      });
    this.#running = running;
    return reading;
  }
}
