/** The streams that were cut off last: what was on its way then still comes, and is nobody's mistake (RFC 9113, 5.4.2). */

const MOST_IDS = 128;

export class RecentIds {
  #ids: Uint32Array | undefined;
  #next = 0;

  add(id: number): void {
    this.#ids ??= new Uint32Array(MOST_IDS);
    this.#ids[this.#next] = id;
    this.#next = (this.#next + 1) % MOST_IDS;
  }

  has(id: number): boolean {
    return this.#ids?.includes(id) === true;
  }
}
