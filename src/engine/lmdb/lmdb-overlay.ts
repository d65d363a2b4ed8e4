/**
 * What has been worked out for the keys and is not synced yet, above what LMDB has: transactions build upon it while
 * those before them are on their way to the disk. Nobody else is shown it.
 */
import { MAX_KEY_BYTES } from "../../base/limits.ts";
import { keyName } from "../key-name.ts";
import type { KeyRange } from "../model.ts";
import type { Tables } from "./lmdb-open.ts";
import { boundsOf } from "./lmdb-snapshot.ts";

/** What a key is to be: a version record, or nothing where it was deleted. */
export interface Planned {
  readonly key: Buffer;
  readonly record: Buffer | undefined;
}

/** The keys that one group of transactions writes, as they are after the last of them. */
export class Layer {
  readonly #keys = new Map<string, Planned>();
  /** All names in order, for looking at ranges. */
  readonly #names: string[] = [];
  #deleted = 0;

  /** How many keys it deletes, at most. */
  get deleted(): number {
    return this.#deleted;
  }

  get planned(): Iterable<Planned> {
    return this.#keys.values();
  }

  get(name: string): Planned | undefined {
    return this.#keys.get(name);
  }

  set(name: string, planned: Planned): void {
    if (!this.#keys.has(name)) {
      this.#names.splice(this.#placeOf(name), 0, name);
    }
    this.#keys.set(name, planned);
    if (planned.record === undefined) {
      this.#deleted++;
    }
  }

  /** The names from `start` on and before `end`, in order. */
  *namesIn(start: string, end: string | undefined): Generator<string> {
    for (let place = this.#placeOf(start); place < this.#names.length; place++) {
      const name = this.#names[place];
      if (name === undefined || (end !== undefined && name >= end)) {
        return;
      }
      yield name;
    }
  }

  /** Where a name stands, or would. */
  #placeOf(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? "") < name) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

/** Layers above the tables, the newest first. */
export class Overlay {
  readonly #tables: Tables;
  readonly #layers: readonly Layer[];

  constructor(tables: Tables, layers: readonly Layer[]) {
    this.#tables = tables;
    this.#layers = layers;
  }

  /** A key's version record; `name` is the key as text. */
  record(name: string, key: Buffer): Buffer | undefined {
    for (const layer of this.#layers) {
      const planned = layer.get(name);
      if (planned !== undefined) {
        return planned.record;
      }
    }
    return key.length > 0 && key.length <= MAX_KEY_BYTES ? this.#tables.keys.getBinary(key) : undefined;
  }

  /** Whether there is no key in a range. */
  isEmpty(range: KeyRange): boolean {
    const bounds = boundsOf(range);
    if (bounds === undefined) {
      return true;
    }
    const start = keyName(range.key);
    const end = range.end === undefined || range.end === null ? undefined : keyName(range.end);
    let deleted = 0;
    for (const layer of this.#layers) {
      for (const name of layer.namesIn(start, end)) {
        if (this.#planned(name)?.record !== undefined) {
          return false;
        }
      }
      deleted += layer.deleted;
    }
    for (const key of this.#tables.keys.getKeys({ ...bounds, limit: deleted + 1 })) {
      if (this.#planned(keyName(key)) === undefined) {
        return false;
      }
    }
    return true;
  }

  #planned(name: string): Planned | undefined {
    for (const layer of this.#layers) {
      const planned = layer.get(name);
      if (planned !== undefined) {
        return planned;
      }
    }
    return undefined;
  }

  hasLease(key: Buffer): boolean {
    return this.#tables.leases.getBinary(key) !== undefined;
  }
}
