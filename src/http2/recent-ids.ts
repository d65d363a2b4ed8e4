/** The last IDs of something: of streams, which are too many for all of them to be kept. */

export class RecentIds {
  readonly #most: number;
  readonly #ids: number[] = [];
  #next = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(id: number): void {
    this.#ids[this.#next] = id;
    this.#next = (this.#next + 1) % this.#most;
  }

  has(id: number): boolean {
    return this.#ids.includes(id);
  }
}
