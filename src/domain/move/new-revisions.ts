/** Which revisions of a store have become which of another one, where what was made by them has been written again. */
import type { Revision } from "../../engine/model.ts";

const FIRST_CAPACITY = 1024;

export class NewRevisions {
  #before = new Float64Array(FIRST_CAPACITY);
  #after = new Float64Array(FIRST_CAPACITY);
  #length = 0;

  /** Takes a pair in; both are beyond those before. */
  add(before: Revision, after: Revision): void {
    if (this.#length === this.#before.length) {
      this.#before = doubled(this.#before);
      this.#after = doubled(this.#after);
    }
    this.#before[this.#length] = before;
    this.#after[this.#length] = after;
    this.#length++;
  }

  /**
   * The new one of a revision; where nothing is left of what it made, that of the next one of which something is.
   * Undefined where none has been taken in yet that is as new.
   */
  get(before: Revision): Revision | undefined {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#before[middle] ?? 0) < before) low = middle + 1;
      else high = middle;
    }
    return low === this.#length ? undefined : this.#after[low];
  }
}

function doubled(numbers: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const more = new Float64Array(numbers.length * 2);
  more.set(numbers);
  return more;
}
