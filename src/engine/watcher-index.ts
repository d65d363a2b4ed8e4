/** Which watchers a key concerns, without asking each of them. */
import { type Bytes, equalBytes, prefixEnd } from "../base/bytes.ts";
import { keyName } from "./key-name.ts";
import { covers } from "./key-range.ts";
import type { KeyRange } from "./model.ts";

/**
 * Members by the keys they watch. Single keys and prefixes, which nearly all watches are, are found by look-up; other
 * ranges are walked through.
 */
export class WatcherIndex<T> {
  readonly #keys = new Map<string, Set<T>>();
  readonly #prefixes = new Map<string, Set<T>>();
  /** How many different prefixes there are of each length. */
  readonly #prefixLengths = new Map<number, number>();
  readonly #ranges = new Map<T, KeyRange>();
  readonly #members = new Set<T>();

  get size(): number {
    return this.#members.size;
  }

  all(): Iterable<T> {
    return this.#members;
  }

  add(range: KeyRange, member: T): void {
    this.#members.add(member);
    if (range.end === undefined) {
      addTo(this.#keys, keyName(range.key), member);
    } else if (isPrefix(range)) {
      if (addTo(this.#prefixes, keyName(range.key), member)) {
        this.#prefixLengths.set(range.key.length, (this.#prefixLengths.get(range.key.length) ?? 0) + 1);
      }
    } else {
      this.#ranges.set(member, range);
    }
  }

  remove(range: KeyRange, member: T): void {
    if (!this.#members.delete(member)) {
      return;
    }
    this.#ranges.delete(member);
    if (range.end === undefined) {
      removeFrom(this.#keys, keyName(range.key), member);
    } else if (isPrefix(range) && removeFrom(this.#prefixes, keyName(range.key), member)) {
      const left = (this.#prefixLengths.get(range.key.length) ?? 1) - 1;
      if (left === 0) {
        this.#prefixLengths.delete(range.key.length);
      } else {
        this.#prefixLengths.set(range.key.length, left);
      }
    }
  }

  /** The members that watch this key, each once. */
  find(key: Bytes): readonly T[] {
    const found: T[] = [];
    if (this.#keys.size > 0 || this.#prefixes.size > 0) {
      this.#findByName(keyName(key), found);
    }
    for (const [member, range] of this.#ranges) {
      if (covers(range, key)) {
        found.push(member);
      }
    }
    return found;
  }

  #findByName(name: string, found: T[]): void {
    addAll(found, this.#keys.get(name));
    for (const length of this.#prefixLengths.keys()) {
      if (length <= name.length) {
        addAll(found, this.#prefixes.get(name.slice(0, length)));
      }
    }
  }
}

function addAll<T>(found: T[], members: Iterable<T> | undefined): void {
  for (const member of members ?? []) {
    found.push(member);
  }
}

function isPrefix(range: KeyRange): boolean {
  const end = prefixEnd(range.key);
  return end !== null && range.end instanceof Uint8Array && equalBytes(end, range.end);
}

/** Answers whether the name is new. */
function addTo<T>(map: Map<string, Set<T>>, key: string, member: T): boolean {
  const members = map.get(key);
  if (members === undefined) {
    map.set(key, new Set([member]));
    return true;
  }
  members.add(member);
  return false;
}

/** Answers whether the name is gone. */
function removeFrom<T>(map: Map<string, Set<T>>, key: string, member: T): boolean {
  const members = map.get(key);
  members?.delete(member);
  return members?.size === 0 && map.delete(key);
}
