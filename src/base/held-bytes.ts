/** Bytes that wait for more, or for who takes them up: copied, as small pieces would keep large ones, and cost more than they have. */

const FEWEST_BYTES = 1024;

export class HeldBytes {
  #memory: Buffer | undefined;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(piece: Uint8Array): void {
    const wanted = this.#bytes + piece.length;
    if (this.#memory === undefined || this.#memory.length < wanted) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FEWEST_BYTES, 2 * wanted));
      if (this.#memory !== undefined) this.#memory.copy(larger, 0, 0, this.#bytes);
      this.#memory = larger;
    }
    this.#memory.set(piece, this.#bytes);
    this.#bytes = wanted;
  }

  /** Takes all of it; undefined where there is nothing. */
  take(): Buffer | undefined {
    const held = this.#memory?.subarray(0, this.#bytes);
    this.#memory = undefined;
    this.#bytes = 0;
    return held;
  }
}
