/** The last IDs of something: of streams, which are too many for all of them to be kept. */

const MOST_IDS = 64;

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
