/**
 * How the store looks in LMDB: an undo log. `keys` has what lives now, `revs` every change with what it replaced, and
 * `past` finds replaced versions by key. A value stands in exactly one place: in `keys` while it is the newest, then in
 * the record of the change that replaced it.
 *
 * | table     | key                  | value                                                                |
 * |-----------|----------------------|----------------------------------------------------------------------|
 * | keys      | key                  | version record: create u64, mod u64, version u64, lease u64, value   |
 * | revs      | main u64, sub u32    | change record: kind u8, 0, key length u16, create u64, version u64,  |
 * |           |                      | lease u64, key, the version record it replaced (or nothing)          |
 * | past      | key (many)           | [mod, end main, end sub] in lmdb's ordered-binary encoding           |
 * | leases    | id u64               | time to live in s, u64                                               |
 * | leaseKeys | id u64 (many)        | key                                                                  |
 * | meta      | name                 | `state`: revision u64, compact revision + 1 as u64, and a byte 1     |
 * |           |                      | while a write is unfinished; `probe`: anything                       |
 *
 * All numbers are big-endian. A version was visible at revision R iff mod ≤ R < end main.
 *
 * A write that is too long for one LMDB transaction goes into several, as the changes of the revision after the state's
 * while the state says `unfinished`. What is read as the newest is then what was visible at the state's revision, as the
 * keys are ahead of it; the last one moves the revision. One that never comes to its end is undone (lmdb-rollback.ts).
 */
import type { Bytes } from "../../base/bytes.ts";
import type { KeyValue, LeaseId, Revision } from "../model.ts";
import { NO_LEASE } from "../model.ts";

/** The name and number of this layout, as the file FORMAT has it. */
export const FORMAT_NAME = "muster-lmdb";
export const FORMAT_VERSION = 1;

/** IDs have 63 bits, as etcd's. */
export const LARGEST_LEASE_ID: LeaseId = 2n ** 63n - 1n;

export const STATE_KEY: Buffer = Buffer.from("state");
export const PROBE_KEY: Buffer = Buffer.from("probe");

/** The store's newest revision and the one it is compacted to; -1 where it never was (etcd can compact to 0 once). */
export interface State {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  /** Whether changes of the next revision are there already, which nobody may see. */
  readonly unfinished?: boolean;
}

export const EMPTY_STATE: State = { revision: 1, compactRevision: -1 };

const VERSION_HEADER_BYTES = 32;
const CHANGE_HEADER_BYTES = 28;
const CHANGE_PUT = 1;
const CHANGE_DELETE = 2;
const STATE_BYTES = 16;
const UNFINISHED = 1;
const TWO_POW_32 = 2 ** 32;

/** What a change did to a key, as its record in `revs` tells it. */
export interface Change {
  readonly kind: "put" | "delete";
  readonly key: Buffer;
  readonly createRevision: Revision;
  readonly version: number;
  readonly lease: LeaseId;
  /** The version record that it replaced, if there was one. */
  readonly previous: Buffer | undefined;
}

export function encodeVersion(version: Omit<KeyValue, "key">): Buffer {
  const record = Buffer.allocUnsafe(VERSION_HEADER_BYTES + version.value.length);
  writeNumber(record, version.createRevision, 0);
  writeNumber(record, version.modRevision, 8);
  writeNumber(record, version.version, 16);
  writeLease(record, version.lease, 24);
  record.set(version.value, VERSION_HEADER_BYTES);
  return record;
}

/** The key-value that a version record of this key holds; its value shares the record's memory. */
export function decodeVersion(key: Bytes, record: Buffer): KeyValue {
  return {
    key,
    value: valueIn(record),
    createRevision: readNumber(record, 0),
    modRevision: modRevisionOf(record),
    version: readNumber(record, 16),
    lease: leaseIn(record),
  };
}

/** One of the numbers in a version record. */
export function numberIn(record: Buffer, target: "createRevision" | "modRevision" | "version"): number {
  return readNumber(record, target === "createRevision" ? 0 : target === "modRevision" ? 8 : 16);
}

/** The value in a version record, whose memory it shares. */
export function valueIn(record: Buffer): Buffer {
  return record.subarray(VERSION_HEADER_BYTES);
}

export function leaseIn(record: Buffer): LeaseId {
  return readLease(record, 24);
}

/** The revision of the change that made a version record. */
export function modRevisionOf(record: Buffer): Revision {
  return readNumber(record, 8);
}

export function encodeChange(change: Change): Buffer {
  const { key, previous } = change;
  const record = Buffer.allocUnsafe(CHANGE_HEADER_BYTES + key.length + (previous?.length ?? 0));
  record[0] = change.kind === "put" ? CHANGE_PUT : CHANGE_DELETE;
  record[1] = 0;
  record.writeUInt16BE(key.length, 2);
  writeNumber(record, change.createRevision, 4);
  writeNumber(record, change.version, 12);
  writeLease(record, change.lease, 20);
  record.set(key, CHANGE_HEADER_BYTES);
  if (previous !== undefined) {
    record.set(previous, CHANGE_HEADER_BYTES + key.length);
  }
  return record;
}

/** What a record in `revs` holds; its parts share the record's memory. */
export function decodeChange(record: Buffer): Change {
  const keyEnd = CHANGE_HEADER_BYTES + record.readUInt16BE(2);
  return {
    kind: record[0] === CHANGE_PUT ? "put" : "delete",
    key: record.subarray(CHANGE_HEADER_BYTES, keyEnd),
    createRevision: readNumber(record, 4),
    version: readNumber(record, 12),
    lease: readLease(record, 20),
    previous: record.length > keyEnd ? record.subarray(keyEnd) : undefined,
  };
}

/** Which version a record in `revs` replaced, without all else that it holds; undefined: none. The key shares its memory. */
export function decodeReplaced(record: Buffer): { readonly key: Buffer; readonly modRevision: Revision } | undefined {
  const keyEnd = CHANGE_HEADER_BYTES + record.readUInt16BE(2);
  if (record.length === keyEnd) return undefined;
  return { key: record.subarray(CHANGE_HEADER_BYTES, keyEnd), modRevision: readNumber(record, keyEnd + 8) };
}

/** The place of a change in `revs`: revision by revision, in the order of operations within one. */
export function changeKey(main: Revision, sub: number): Buffer {
  const key = Buffer.allocUnsafe(12);
  writeNumber(key, main, 0);
  key.writeUInt32BE(sub, 8);
  return key;
}

export function decodeChangeKey(key: Buffer): { readonly main: Revision; readonly sub: number } {
  return { main: readNumber(key, 0), sub: key.readUInt32BE(8) };
}

export function leaseKey(id: LeaseId): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeBigUInt64BE(id, 0);
  return key;
}

export function decodeLeaseKey(key: Buffer): LeaseId {
  return key.readBigUInt64BE(0);
}

export function encodeCount(count: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeNumber(bytes, count, 0);
  return bytes;
}

export function decodeCount(bytes: Buffer): number {
  return readNumber(bytes, 0);
}

export function encodeState(state: State): Buffer {
  const unfinished = state.unfinished === true;
  const bytes = Buffer.allocUnsafe(STATE_BYTES + (unfinished ? 1 : 0));
  writeNumber(bytes, state.revision, 0);
  writeNumber(bytes, state.compactRevision + 1, 8);
  if (unfinished) {
    bytes[STATE_BYTES] = UNFINISHED;
  }
  return bytes;
}

export function decodeState(bytes: Buffer): State {
  const state = { revision: readNumber(bytes, 0), compactRevision: readNumber(bytes, 8) - 1 };
  return bytes[STATE_BYTES] === UNFINISHED ? { ...state, unfinished: true } : state;
}

/** Revisions stay far below 2^53, so plain numbers hold them; a bigint each would double the cost of reading. */
function writeNumber(target: Buffer, value: number, offset: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_POW_32), offset);
  target.writeUInt32BE(value % TWO_POW_32, offset + 4);
}

/** Most keys have no lease: that is written without a bigint. */
function writeLease(target: Buffer, lease: LeaseId, offset: number): void {
  if (lease === NO_LEASE) {
    writeNumber(target, 0, offset);
  } else {
    target.writeBigUInt64BE(lease, offset);
  }
}

function readNumber(source: Buffer, offset: number): number {
  return source.readUInt32BE(offset) * TWO_POW_32 + source.readUInt32BE(offset + 4);
}

/** Most keys have no lease: those are told without making a bigint. */
function readLease(source: Buffer, offset: number): LeaseId {
  const none = source.readUInt32BE(offset) === 0 && source.readUInt32BE(offset + 4) === 0;
  return none ? NO_LEASE : source.readBigUInt64BE(offset);
}
