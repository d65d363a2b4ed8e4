/**
 * The open streams of a connection, by ID. A Map would do, were it not for V8's: each call adds to it and takes away, so
 * that it is made anew again and again, and one that has got old keeps all that is made after it, with what was in them,
 * from being collected with the young.
 */
import { randomInt } from "node:crypto";

export interface Identified {
  readonly id: number;
}

/** As a power of 2. */
const FEWEST_PLACES_BITS = 4;

export class StreamTable<T extends Identified> {
  #bits = FEWEST_PLACES_BITS;
  #places: (T | undefined)[] = new Array<T | undefined>(1 << FEWEST_PLACES_BITS).fill(undefined);
  /** Clients choose IDs: who does not know it cannot choose such as all belong in one place. */
  readonly #factor = randomInt(2 ** 31) | 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#places[this.#find(id)];
  }

  /** One whose ID is not in it yet. */
  add(stream: T): void {
    if (2 * (this.#size + 1) > this.#places.length) this.#grow();
    this.#places[this.#find(stream.id)] = stream;
    this.#size++;
  }

  /** Whether it was in it. */
  delete(id: number): boolean {
    const places = this.#places;
    const last = places.length - 1;
    let hole = this.#find(id);
    if (places[hole] === undefined) return false;
    this.#size--;
    // What stands behind a hole is found only if it is moved up, unless it stands where it belongs.
    for (let at = (hole + 1) & last; ; at = (at + 1) & last) {
      const next = places[at];
      if (next === undefined) break;
      const distance = (at - this.#home(next.id)) & last;
      if (distance >= ((at - hole) & last)) {
        places[hole] = next;
        hole = at;
      }
    }
    places[hole] = undefined;
    return true;
  }

  /** Those that are in it now, whatever becomes of it meanwhile. */
  all(): readonly T[] {
    return this.#places.filter((stream) => stream !== undefined);
  }

  #home(id: number): number {
    return Math.imul(id, this.#factor) >>> (32 - this.#bits);
  }

  /** Its place, or the free one where it would stand. There always is one: at most half of them are taken. */
  #find(id: number): number {
    const last = this.#places.length - 1;
    let at = this.#home(id);
    for (;;) {
      const stream = this.#places[at];
      if (stream === undefined || stream.id === id) return at;
      at = (at + 1) & last;
    }
  }

  #grow(): void {
    const streams = this.all();
    this.#bits++;
    this.#places = new Array<T | undefined>(1 << this.#bits).fill(undefined);
    for (const stream of streams) this.#places[this.#find(stream.id)] = stream;
  }
}
