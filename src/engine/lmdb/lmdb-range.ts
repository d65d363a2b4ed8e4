/** One range request, read in slices, so that a long one lets others run in between. */
import { compareBytes, NO_BYTES } from "../../base/bytes.ts";
import type { KeyValue, RangeRequest, RangeResult, Revision } from "../model.ts";
import type { Tables } from "./lmdb-open.ts";
import { decodeVersion } from "./lmdb-schema.ts";
import { boundsOf, type Moment, readKey, walk } from "./lmdb-snapshot.ts";

/** Whether a slice has taken long enough. */
export type TimeUp = () => boolean;

/** For reads that must be whole at once, as those within a transaction. */
export const NEVER: TimeUp = () => false;

/** How many keys are read between two looks at the clock. */
const KEYS_PER_LOOK = 64;
/** Bytes that are as much work as a key: they are copied. */
const BYTES_PER_KEY = 4096;
/** How many keys LMDB counts by itself between two looks at the clock: well below a millisecond. */
const KEYS_PER_COUNT = 10_000;

/** A read that can be done in slices, in several turns of the event loop. */
export interface SlicedRead {
  /** The oldest revision that it looks at, where that is not the newest. */
  readonly oldest: Revision | undefined;
  /**
   * Reads on until all is read (true) or the time is up (false). `newest` must show the same state in every slice:
   * "newest" in the first, the revision that it was in later ones.
   */
  slice(tables: Tables, newest: Moment, timeUp: TimeUp): boolean;
}

/** Reads a range at once, within a transaction; `revision` is the store's. */
export function readRange(tables: Tables, request: RangeRequest, revision: Revision): RangeResult {
  const read = new RangeRead(request);
  read.slice(tables, "newest", NEVER);
  return read.result(revision);
}

export class RangeRead implements SlicedRead {
  readonly oldest: Revision | undefined;
  readonly #request: RangeRequest;
  /** How many key-values are worth keeping: no more than the limit, unless a filter or a sort is yet to come. */
  readonly #keep: number;
  readonly #kvs: KeyValue[] = [];
  #count = 0;
  #after: Buffer | undefined;

  constructor(request: RangeRequest) {
    this.#request = request;
    // Absent and 0 are the newest, and so is what etcd's own range takes for it: less than 0.
    this.oldest = (request.revision ?? 0) > 0 ? request.revision : undefined;
    const limit = limitOf(request);
    this.#keep = request.countOnly === true ? 0 : isShaped(request) ? Number.POSITIVE_INFINITY : limit;
  }

  slice(tables: Tables, newest: Moment, timeUp: TimeUp): boolean {
    const moment = this.oldest ?? newest;
    if (this.#request.end === undefined) {
      this.#readOne(tables, moment);
      return true;
    }
    return this.#collect(tables, moment, timeUp) && (moment !== "newest" || this.#countRest(tables, timeUp));
  }

  /** What was read; `revision` is the store's at the first slice. */
  result(revision: Revision): RangeResult {
    if (this.#request.countOnly === true) {
      return { revision, kvs: [], more: false, count: this.#count };
    }
    const limit = limitOf(this.#request);
    const kvs = sorted(this.#kvs, this.#request);
    const more = isShaped(this.#request) ? kvs.length > limit : this.#count > limit;
    return { revision, kvs: kvs.length > limit ? kvs.slice(0, limit) : kvs, more, count: this.#count };
  }

  #readOne(tables: Tables, moment: Moment): void {
    const kv = readKey(tables, this.#request.key, moment);
    if (kv !== undefined) {
      this.#count = 1;
      this.#add(kv);
    }
  }

  /** At a past revision this walks to the end, to count; at the newest only as far as keys are to be kept. */
  #collect(tables: Tables, moment: Moment, timeUp: TimeUp): boolean {
    if (this.#isEnough(moment)) {
      return true;
    }
    let work = 0;
    for (const { key, record } of walk(tables, boundsOf(this.#request, this.#after), moment)) {
      this.#after = key;
      if (record !== undefined) {
        this.#take(key, record);
      }
      if (this.#isEnough(moment)) {
        return true;
      }
      work += 1 + (record?.length ?? 0) / BYTES_PER_KEY;
      if (work >= KEYS_PER_LOOK) {
        work = 0;
        if (timeUp()) {
          return false;
        }
      }
    }
    this.#after = undefined;
    return true;
  }

  /** Uncounted, one key beyond the limit says that there are more. */
  #isEnough(moment: Moment): boolean {
    if (this.#request.uncounted === true) {
      return this.#count > this.#keep;
    }
    return moment === "newest" && this.#kvs.length >= this.#keep;
  }

  #take(key: Buffer, record: Buffer): void {
    this.#count++;
    if (this.#kvs.length < this.#keep) {
      this.#add(decodeVersion(key, record));
    }
  }

  #add(kv: KeyValue): void {
    if (this.#keep > 0 && passesBounds(kv, this.#request)) {
      this.#kvs.push(this.#request.keysOnly === true && this.#request.sort?.target !== "value" ? withoutValue(kv) : kv);
    }
  }

  /** Counts what was not collected, in strides that LMDB makes without us. */
  #countRest(tables: Tables, timeUp: TimeUp): boolean {
    if (this.#request.uncounted === true || (this.#after === undefined && this.#keep > 0)) {
      return true;
    }
    for (;;) {
      const bounds = boundsOf(this.#request, this.#after);
      if (bounds === undefined) {
        return true;
      }
      const [last] = tables.keys.getKeys({ ...bounds, offset: KEYS_PER_COUNT - 1, limit: 1 });
      if (last === undefined) {
        this.#count += tables.keys.getKeysCount(bounds);
        return true;
      }
      this.#count += KEYS_PER_COUNT;
      this.#after = last;
      if (timeUp()) {
        return false;
      }
    }
  }
}

function limitOf(request: RangeRequest): number {
  return request.limit !== undefined && request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
}

/** Whether filters or a sort decide which key-values come first: then the limit can only be applied at the end. */
function isShaped(request: RangeRequest): boolean {
  const { sort } = request;
  const reorders = sort !== undefined && !(sort.target === "key" && sort.order === "ascend");
  return (
    reorders ||
    isBound(request.minModRevision) ||
    isBound(request.maxModRevision) ||
    isBound(request.minCreateRevision) ||
    isBound(request.maxCreateRevision)
  );
}

/** 0 means no bound, as on etcd's wire. */
function isBound(revision: Revision | undefined): revision is Revision {
  return revision !== undefined && revision !== 0;
}

function passesBounds(kv: KeyValue, request: RangeRequest): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return (
    !(isBound(minModRevision) && kv.modRevision < minModRevision) &&
    !(isBound(maxModRevision) && kv.modRevision > maxModRevision) &&
    !(isBound(minCreateRevision) && kv.createRevision < minCreateRevision) &&
    !(isBound(maxCreateRevision) && kv.createRevision > maxCreateRevision)
  );
}

function sorted(kvs: KeyValue[], request: RangeRequest): readonly KeyValue[] {
  const { sort } = request;
  const direction = sort?.order === "descend" ? -1 : 1;
  const ordered = sort === undefined ? kvs : kvs.sort((a, b) => direction * order(a, b, sort.target));
  return request.keysOnly === true && sort?.target === "value" ? ordered.map(withoutValue) : ordered;
}

function order(a: KeyValue, b: KeyValue, target: NonNullable<RangeRequest["sort"]>["target"]): number {
  switch (target) {
    case "key":
    case "value":
      return compareBytes(a[target], b[target]);
    case "version":
    case "createRevision":
    case "modRevision":
      return a[target] - b[target];
  }
}

function withoutValue(kv: KeyValue): KeyValue {
  return { ...kv, value: NO_BYTES };
}
