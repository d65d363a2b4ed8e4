/**
 * What an import knows of each key of an export without reading it again: a few numbers, packed, for there may be
 * millions of keys.
 */
import type { Revision } from "../../engine/model.ts";

const FIRST_CAPACITY = 1024;
/** When it is put first, when last, where its line begins in the file. */
const NUMBERS = 3;

export class KeyIndex {
  #numbers = new Float64Array(FIRST_CAPACITY * NUMBERS);
  #length = 0;

  /** How many keys there are; they are named by their places, from 0. */
  get length(): number {
    return this.#length;
  }

  /** Takes the next key in. */
  add(firstRevision: Revision, lastRevision: Revision, offset: number): void {
    const start = this.#length * NUMBERS;
    if (start === this.#numbers.length) {
      const more = new Float64Array(this.#numbers.length * 2);
      more.set(this.#numbers);
      this.#numbers = more;
    }
    this.#numbers[start] = firstRevision;
    this.#numbers[start + 1] = lastRevision;
    this.#numbers[start + 2] = offset;
    this.#length++;
  }

  firstRevision(place: number): Revision {
    return this.#numbers[place * NUMBERS] ?? 0;
  }

  lastRevision(place: number): Revision {
    return this.#numbers[place * NUMBERS + 1] ?? 0;
  }

  offset(place: number): number {
    return this.#numbers[place * NUMBERS + 2] ?? 0;
  }
}
