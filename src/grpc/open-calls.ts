/**
 * The calls of a server that are open. A Set would do, were it not for V8's: each time one outgrows its table it makes a
 * new one, and the old one, once in the old generation, keeps all that are made after it, with what was in them, from
 * being collected with the young.
 */

/** What can be in it: in one at a time. */
export interface OpenCall {
  /** Where it stands; written by OpenCalls alone. */
  place: number;
}

export class OpenCalls<T extends OpenCall> {
  readonly #calls: T[] = [];

  get size(): number {
    return this.#calls.length;
  }

  /** One that is not in it yet. */
  add(call: T): void {
    call.place = this.#calls.length;
    this.#calls.push(call);
  }

  /** One that is in it. */
  delete(call: T): void {
    const last = this.#calls.pop();
    if (last === undefined || last === call) return;
    this.#calls[call.place] = last;
    last.place = call.place;
  }

  /** Those that are in it now, whatever becomes of it meanwhile. */
  all(): readonly T[] {
    return [...this.#calls];
  }
}
