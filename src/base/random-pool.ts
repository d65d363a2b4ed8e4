/** Bytes that nobody can guess, fetched many at a time: it is the call that costs, not the bytes. */
import { randomFillSync } from "node:crypto";

const POOL_BYTES = 4096;

export class RandomPool {
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #used = POOL_BYTES;

  /** So many bytes (at most 4096) that are given to nobody else; the pool keeps no copy of them. */
  take(length: number): Uint8Array {
    if (this.#used + length > POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const end = this.#used + length;
    const taken = Uint8Array.from(this.#pool.subarray(this.#used, end));
    this.#pool.fill(0, this.#used, end);
    this.#used = end;
    return taken;
  }
}
