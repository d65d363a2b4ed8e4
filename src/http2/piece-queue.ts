/** Bytes of a body that wait, in the pieces in which they came. */

import { NO_BYTES } from "../base/bytes.ts";

/** From so many on, pieces that were taken are cut off. */
const MOST_TAKEN = 64;

export class PieceQueue {
  #pieces: Uint8Array[] = [];
  /** How many of them have been taken. */
  #taken = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** One that is not empty, and that nobody changes any more. */
  push(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** Takes the first bytes, at most so many; pieces that are smaller are joined. */
  take(most: number): Uint8Array {
    const first = this.#pieces[this.#taken];
    if (first === undefined) return NO_BYTES;
    if (first.length >= most || first.length === this.#bytes) return this.#takeOf(first, most);
    const length = Math.min(most, this.#bytes);
    const joined = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const next = this.#pieces[this.#taken];
      if (next === undefined) break;
      const part = this.#takeOf(next, length - at);
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  #takeOf(first: Uint8Array, most: number): Uint8Array {
    if (first.length > most) {
      this.#pieces[this.#taken] = first.subarray(most);
      this.#bytes -= most;
      return first.subarray(0, most);
    }
    this.#bytes -= first.length;
    // Whoever has taken it decides how long it is kept.
    this.#pieces[this.#taken++] = NO_BYTES;
    if (this.#taken === this.#pieces.length) {
      this.#pieces = [];
      this.#taken = 0;
    } else if (this.#taken >= MOST_TAKEN && 2 * this.#taken >= this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#taken);
      this.#taken = 0;
    }
    return first;
  }
}
