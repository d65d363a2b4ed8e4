/** Walks over a part of the keyspace at one revision, jumping over subtrees that the caller does not want to see. */
import type { Bytes } from "../../base/bytes.ts";
import {
  TREE_SCAN_BYTES,
  TREE_SCAN_FIRST_KEYS,
  TREE_SCAN_LEAST_KEYS,
  TREE_SCAN_MOST_KEYS,
} from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";

const SLASH = 0x2f;
const AFTER_SLASH = 0x30;

export interface ScanOptions {
  readonly engine: Engine;
  readonly range: { readonly key: Bytes; readonly end: Bytes };
  readonly revision: Revision;
  /**
   * For a key: where in it the slash is whose subtree is to be jumped over, or -1. All keys with the same bytes up to
   * that slash are alike to the caller, so that seeing the first few of them is enough.
   */
  readonly skipAt: (key: Bytes) => number;
}

/** Every key of the range in key order, but for (most of) those in subtrees that are skipped; read a piece at a time. */
export class Scan {
  readonly #options: ScanOptions;
  #from: Bytes;
  #limit = TREE_SCAN_FIRST_KEYS;
  #isOver = false;

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#from = options.range.key;
  }

  /** Whether all has been read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Reads the next piece; it may be empty at the end. */
  async read(): Promise<readonly KeyValue[]> {
    const { engine, range, revision, skipAt } = this.#options;
    const request = { key: this.#from, end: range.end, limit: this.#limit, revision, uncounted: true };
    const { kvs, more } = await engine.range(request);
    const last = kvs.at(-1);
    if (!more || last === undefined) {
      this.#isOver = true;
      return kvs;
    }
    const slash = skipAt(last.key);
    this.#from = slash === -1 ? successor(last.key) : subtreeEnd(last.key, slash);
    this.#limit = slash === -1 ? this.#more(kvs) : Math.max(this.#limit >> 2, TREE_SCAN_LEAST_KEYS);
    return kvs;
  }

  /** Twice as many, unless their values are large. */
  #more(kvs: readonly KeyValue[]): number {
    const bytes = kvs.reduce((sum, { value }) => sum + value.length, 1);
    const fitting = Math.floor((TREE_SCAN_BYTES / bytes) * kvs.length);
    return Math.min(this.#limit * 2, TREE_SCAN_MOST_KEYS, Math.max(fitting, TREE_SCAN_LEAST_KEYS));
  }
}

/** For a look at the children only: the first slash after `start` bytes. */
export function skipBelowChildren(start: number): (key: Bytes) => number {
  return (key) => key.indexOf(SLASH, start);
}

/** For a look at everything that is not hidden: the slash after the first name, from `start` bytes on, that begins with `_`. */
export function skipHidden(start: number): (key: Bytes) => number {
  return (key) => {
    for (let name = start; name !== 0; name = key.indexOf(SLASH, name) + 1) {
      if (key[name] === 0x5f) return key.indexOf(SLASH, name);
    }
    return -1;
  };
}

function successor(key: Bytes): Bytes {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

function subtreeEnd(key: Bytes, slash: number): Bytes {
  const end = Uint8Array.from(key.subarray(0, slash + 1));
  end[slash] = AFTER_SLASH;
  return end;
}
