/** Where in an etcd Muster's keys are, and how its revisions are told: the prefix and the offset of an import, there and back. */
import { type Bytes, compareBytes, NO_BYTES, prefixEnd, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { KeyRange, KeyValue, Revision } from "../model.ts";

const LEAST_KEY = Uint8Array.of(0);
/** etcd's word for "no end". */
const NO_END = LEAST_KEY;

/** How much the revisions that are told lie beyond etcd's, in decimal. Written by an import, and read when the store is opened. */
export const OFFSET_KEY = utf8("\0store/offset");
/** Below it a record for each lease that was granted through Muster, hanging on that lease: only on a shared etcd. */
export const LEASE_RECORDS = utf8("\0store/lease/");
/** A key that never is: what stands for a range of nothing, which etcd would refuse or take for another. */
const NOTHING = utf8("\0store/none");

/** What of a range goes over the wire. */
export interface WireRange {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
}

/**
 * Where in an etcd the store lies: below which prefix, and by how much its revisions are shifted. Those that the engine
 * tells are etcd's and `offset`; 0 (none) stays 0. What is before `floor` was before an import, and is gone.
 */
export class EtcdSpace {
  readonly prefix: Bytes;
  readonly offset: Revision;
  /** As it is told; 0: there was no import. */
  readonly floor: Revision;

  constructor(prefix: Bytes, offsetRecord: KeyValue | undefined) {
    this.prefix = prefix;
    this.offset = offsetRecord === undefined ? 0 : wholeNumber(offsetRecord.value);
    this.floor = offsetRecord === undefined ? 0 : offsetRecord.modRevision + this.offset;
  }

  get isShared(): boolean {
    return this.prefix.length > 0;
  }

  key(key: Bytes): Bytes {
    return this.prefix.length === 0 ? key : Buffer.concat([this.prefix, key]);
  }

  /** A key as callers know it. */
  plainKey(key: Bytes): Bytes {
    return key.subarray(this.prefix.length);
  }

  holds(key: Bytes): boolean {
    return key.length > this.prefix.length && compareBytes(key.subarray(0, this.prefix.length), this.prefix) === 0;
  }

  range({ key, end }: KeyRange): WireRange {
    if (end === undefined) {
      return { key: this.key(key), rangeEnd: NO_BYTES };
    }
    // etcd knows no empty key, and the prefix itself is nobody's: the least key stands for the start of everything.
    const start = key.length === 0 ? LEAST_KEY : key;
    if (end === null) {
      return { key: this.key(start), rangeEnd: prefixEnd(this.prefix) ?? NO_END };
    }
    return compareBytes(end, start) <= 0
      ? { key: this.key(NOTHING), rangeEnd: NO_BYTES }
      : { key: this.key(start), rangeEnd: this.key(end) };
  }

  fromWire(revision: Revision): Revision {
    return revision === 0 ? 0 : revision + this.offset;
  }

  /**
   * A revision that keys are compared with. One from before the offset is that of no key: etcd's 1, the empty store's,
   * is greater than that of an absent key and less than that of any other, too.
   */
  toWire(revision: Revision): Revision {
    return revision <= 0 ? revision : Math.max(revision - this.offset, 1);
  }

  /** A revision to read at, or to watch from. Error: `compacted`, where it was before an import. */
  pastToWire(revision: Revision | undefined): Revision {
    if (revision === undefined || revision <= 0) {
      return revision ?? 0;
    }
    if (revision < this.floor) {
      throw compactedError(this.floor);
    }
    return revision - this.offset;
  }
}

/** For history that is gone. `compactRevision` as it is told; 0 where etcd did not say. */
export function compactedError(compactRevision: Revision, cause?: unknown): MusterError {
  return new MusterError(
    "compacted",
    `Ask for a later revision: the store is compacted${compactRevision === 0 ? "" : ` to ${compactRevision}`}`,
    { cause, details: { compactRevision } },
  );
}

function wholeNumber(value: Bytes): number {
  const text = Buffer.from(value).toString("latin1");
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) {
    throw new MusterError(
      "directoryCorrupt",
      `Import into an empty place again: the record of the revisions' offset is no number, "${text.slice(0, 40)}"`,
    );
  }
  return number;
}
