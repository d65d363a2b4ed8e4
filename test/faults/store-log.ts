import type { Change } from "./history.ts";

/** Every change that a store has seen, by key and by value. */
export class StoreLog {
  readonly #changes: readonly Change[];
  readonly #byKey = new Map<string, Change[]>();
  readonly #byValue = new Map<string, Change[]>();

  /** `changes` in order of revision. */
  constructor(changes: readonly Change[]) {
    this.#changes = changes;
    for (const change of changes) {
      append(this.#byKey, change.key, change);
      if (change.value !== undefined) append(this.#byValue, change.value, change);
    }
  }

  keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  /** All puts of a value, in order. */
  putsOf(value: string): readonly Change[] {
    return this.#byValue.get(value) ?? [];
  }

  /** All changes of a key, in order. */
  of(key: string): readonly Change[] {
    return this.#byKey.get(key) ?? [];
  }

  /** The key's last change at or before a revision; undefined where there was none. */
  at(key: string, revision: number): Change | undefined {
    const changes = this.of(key);
    let low = 0;
    let high = changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return changes[low - 1];
  }

  /** The revision of the key that a change found: 0 where there was none. */
  replacedBy({ key, revision }: Change): number {
    const before = this.at(key, revision - 1);
    return before?.value === undefined ? 0 : before.revision;
  }

  /** The changes of all keys below a prefix, from one revision to another, both included. */
  below(prefix: string, { from, to }: { readonly from: number; readonly to: number }): readonly Change[] {
    return this.#changes.filter(({ key, revision }) => revision >= from && revision <= to && key.startsWith(prefix));
  }
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
