/**
 * Reading keys as they are, or as they were at a past revision. Everything here runs within one turn of the event loop,
 * so that it sees one LMDB snapshot and holds none: a held snapshot would stop LMDB from using its pages again.
 */
import { type Bytes, compareBytes, packed } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_KEY_BYTES } from "../../base/limits.ts";
import type { KeyRange, KeyValue, Revision } from "../model.ts";
import type { Tables } from "./lmdb-open.ts";
import {
  changeKey,
  decodeChange,
  decodeState,
  decodeVersion,
  modRevisionOf,
  STATE_KEY,
  type State,
} from "./lmdb-schema.ts";

/** A key and its version record, not yet decoded: counting need not look inside. */
export interface Entry {
  readonly key: Buffer;
  /** Undefined where the key was met but did not exist at that moment: so whoever walks can look at the clock. */
  readonly record: Buffer | undefined;
}

/** What part of a table is walked, in lmdb's words. */
export interface Bounds {
  readonly start: Buffer;
  readonly exclusiveStart: boolean;
  readonly end?: Buffer;
  readonly inclusiveEnd: boolean;
}

/** Which moment is read: the newest, or a past revision. */
export type Moment = Revision | "newest";

export function readState(tables: Tables): State {
  const record = tables.meta.get(STATE_KEY);
  if (record === undefined) {
    throw new MusterError("internal", "Report this defect: the store has no state record");
  }
  return decodeState(record);
}

/** The moment that shows what is the newest for everybody: what an unfinished write has changed already is not. */
export function newestOf(state: State): Moment {
  return state.unfinished === true ? state.revision : "newest";
}

/** One key as it was at a moment, or undefined where it did not exist. The caller may change his key later. */
export function readKey(tables: Tables, key: Bytes, moment: Moment): KeyValue | undefined {
  const record = readVersion(tables, key, moment);
  return record === undefined ? undefined : decodeVersion(packed(key), record);
}

/** The version record of one key at a moment. */
export function readVersion(tables: Tables, key: Bytes, moment: Moment): Buffer | undefined {
  const name = Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.length);
  return isKey(name) ? readRecord(tables, name, moment) : undefined;
}

function isKey(key: Bytes): boolean {
  return key.length > 0 && key.length <= MAX_KEY_BYTES;
}

function readRecord(tables: Tables, key: Buffer, moment: Moment): Buffer | undefined {
  const live = tables.keys.get(key);
  if (moment === "newest" || (live !== undefined && modRevisionOf(live) <= moment)) {
    return live;
  }
  return readPast(tables, key, moment);
}

/** The replaced version of a key that was visible at a revision. */
export function readPast(tables: Tables, key: Buffer, revision: Revision): Buffer | undefined {
  // Versions sort by mod revision, and [n] sorts before every [n, …]: so this finds the last one with mod ≤ revision.
  for (const [, endMain = 0, endSub = 0] of tables.past.getValues(key, {
    start: [revision + 1],
    reverse: true,
    limit: 1,
  })) {
    return endMain > revision ? replacedBy(tables, endMain, endSub) : undefined;
  }
  return undefined;
}

function replacedBy(tables: Tables, main: Revision, sub: number): Buffer {
  const record = tables.revs.get(changeKey(main, sub));
  const previous = record === undefined ? undefined : decodeChange(record).previous;
  if (previous === undefined) {
    throw new MusterError(
      "internal",
      `Report this defect: the change at revision "${main}.${sub}" lacks what it replaced`,
    );
  }
  return previous;
}

/**
 * How to walk a range, or undefined where nothing can be in it. `after`, if given, is the key to go on behind. No stored
 * key is longer than MAX_KEY_BYTES, so longer bounds are cut: all that they still tell apart is their beginning itself.
 */
export function boundsOf(range: KeyRange, after?: Buffer): Bounds | undefined {
  const { key, end } = range;
  const start = after ?? cut(key);
  const exclusiveStart = after !== undefined || key.length > MAX_KEY_BYTES;
  if (end === undefined) {
    return key.length > MAX_KEY_BYTES || after !== undefined
      ? undefined
      : { start, exclusiveStart, end: start, inclusiveEnd: true };
  }
  if (end === null) {
    return { start, exclusiveStart, inclusiveEnd: false };
  }
  return compareBytes(end, start) <= 0
    ? undefined
    : { start, exclusiveStart, end: cut(end), inclusiveEnd: end.length > MAX_KEY_BYTES };
}

function cut(key: Bytes): Buffer {
  return Buffer.from(key.subarray(0, MAX_KEY_BYTES));
}

/** The entries of a range in key order. Whoever stops early must leave the loop by `break` or `return`. */
export function walk(tables: Tables, bounds: Bounds | undefined, moment: Moment): Iterable<Entry> {
  if (bounds === undefined) {
    return [];
  }
  return moment === "newest" ? walkNewest(tables, bounds) : walkPast(tables, bounds, moment);
}

function* walkNewest(tables: Tables, bounds: Bounds): Generator<Entry> {
  for (const { key, value } of tables.keys.getRange(bounds)) {
    yield { key, record: value };
  }
}

/** Merges what lives since then with what was replaced since then. */
function* walkPast(tables: Tables, bounds: Bounds, revision: Revision): Generator<Entry> {
  const live = tables.keys.getRange(bounds)[Symbol.iterator]();
  const past = tables.past.getKeys(bounds)[Symbol.iterator]();
  try {
    let fresh = live.next();
    let old = past.next();
    while (fresh.done !== true || old.done !== true) {
      const order = fresh.done === true ? 1 : old.done === true ? -1 : compareBytes(fresh.value.key, old.value);
      if (order <= 0 && fresh.done !== true && modRevisionOf(fresh.value.value) <= revision) {
        yield { key: fresh.value.key, record: fresh.value.value };
      } else if (order >= 0 && old.done !== true) {
        yield { key: old.value, record: readPast(tables, old.value, revision) };
      } else if (fresh.done !== true) {
        yield { key: fresh.value.key, record: undefined };
      }
      fresh = order <= 0 ? live.next() : fresh;
      old = order >= 0 ? past.next() : old;
    }
  } finally {
    live.return?.();
    past.return?.();
  }
}
