/**
 * A map that keeps what was used of late: half of `capacity` entries at least, and never more than all of it. It is two
 * maps, of which the older is dropped whole when the newer is half full: a single one, from which each use deletes an
 * entry to put it last, spends most of its time on the gaps that this leaves.
 */
export class RecentMap<K, V> {
  readonly #half: number;
  #newer = new Map<K, V>();
  #older = new Map<K, V>();

  constructor(capacity: number) {
    this.#half = Math.max(1, Math.floor(capacity / 2));
  }

  /** How many entries there are; those that are in both maps count twice. */
  get size(): number {
    return this.#newer.size + this.#older.size;
  }

  has(key: K): boolean {
    return this.#newer.has(key) || this.#older.has(key);
  }

  /** The value, which counts as a use. */
  get(key: K): V | undefined {
    const newer = this.#newer.get(key);
    if (newer !== undefined) return newer;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: K, value: V): void {
    this.#newer.set(key, value);
    if (this.#newer.size >= this.#half) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
  }

  delete(key: K): void {
    this.#newer.delete(key);
    this.#older.delete(key);
  }
}
