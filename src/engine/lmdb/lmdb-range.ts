/** One range request, read in slices, so that a long one lets others run in between. */
import { compareBytes, NO_BYTES } from "../../base/bytes.ts";
import { sortInSlices } from "../../base/sliced-sort.ts";
import type { KeyValue, RangeRequest, RangeResult, Revision } from "../model.ts";
import type { Tables } from "./lmdb-open.ts";
import { decodeVersion } from "./lmdb-schema.ts";
import { boundsOf, type Moment, readKey, walk } from "./lmdb-snapshot.ts";
import { ReadView, type TimeUp, unitsOf, type View } from "./lmdb-view.ts";

/** How many keys LMDB counts by itself between two looks at the clock: well below a millisecond. */
const KEYS_PER_COUNT = 10_000;
/** What such a stride is in units of work: a look at the clock. */
const UNITS_PER_COUNT = 64;

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

/** Reads a range within a transaction; `revision` is what the store shows it as its own. */
export function* readRange(view: View, request: RangeRequest, revision: Revision): Generator<void, RangeResult, void> {
  const read = new RangeRead(request);
  yield* read.read(view);
  return read.result(revision);
}

export class RangeRead implements SlicedRead {
  readonly oldest: Revision | undefined;
  readonly #request: RangeRequest;
  /** How many key-values are worth keeping: no more than the limit, unless a filter or a sort is yet to come. */
  readonly #keep: number;
  #kvs: KeyValue[] = [];
  #count = 0;
  #after: Buffer | undefined;
  /** What is under way while this is read in slices. */
  #slicing: { readonly view: ReadView; readonly work: Generator<void, void, void> } | undefined;

  constructor(request: RangeRequest) {
    this.#request = request;
    // Absent and 0 are the newest, and so is what etcd's own range takes for it: less than 0.
    this.oldest = (request.revision ?? 0) > 0 ? request.revision : undefined;
    const limit = limitOf(request);
    this.#keep = request.countOnly === true ? 0 : isShaped(request) ? Number.POSITIVE_INFINITY : limit;
  }

  slice(tables: Tables, newest: Moment, timeUp: TimeUp): boolean {
    if (this.#request.end === undefined) {
      this.#readOne(tables, this.oldest ?? newest);
      return true;
    }
    if (this.#slicing === undefined) {
      const view = new ReadView(tables, newest);
      this.#slicing = { view, work: this.read(view) };
    }
    this.#slicing.view.begin(tables, newest, timeUp);
    return this.#slicing.work.next().done === true;
  }

  /** Reads all, in slices. */
  *read(view: View): Generator<void, void, void> {
    if (this.#request.end === undefined) {
      this.#readOne(view.tables, this.oldest ?? view.moment);
      return;
    }
    // What the first slice read at "newest" later ones go on with at the revision that it was: then by walking.
    while (!(this.#collect(view) && ((this.oldest ?? view.moment) !== "newest" || this.#countRest(view)))) {
      yield;
    }
    yield* this.#shape(view);
  }

  /** What was read; `revision` is the store's at the first slice. */
  result(revision: Revision): RangeResult {
    if (this.#request.countOnly === true) {
      return { revision, kvs: [], more: false, count: this.#count };
    }
    const limit = limitOf(this.#request);
    const kvs = this.#kvs;
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
  #collect(view: View): boolean {
    const moment = this.oldest ?? view.moment;
    if (this.#isEnough(moment)) {
      return true;
    }
    for (const { key, record } of walk(view.tables, boundsOf(this.#request, this.#after), moment)) {
      this.#after = key;
      if (record !== undefined) {
        this.#take(key, record);
      }
      if (this.#isEnough(moment)) {
        return true;
      }
      if (view.isOver(unitsOf(record))) {
        return false;
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
      const { keysOnly, sort, end } = this.#request;
      // A sort by value needs them for a while yet, but not of a single key.
      const isBare = keysOnly === true && (sort?.target !== "value" || end === undefined);
      this.#kvs.push(isBare ? withoutValue(kv) : kv);
    }
  }

  /** Brings what was collected into the order that was asked for. */
  *#shape(view: View): Generator<void, void, void> {
    const { sort, keysOnly } = this.#request;
    if (sort === undefined) {
      return;
    }
    const direction = sort.order === "descend" ? -1 : 1;
    const order = (a: KeyValue, b: KeyValue) => direction * orderOf(a, b, sort.target);
    this.#kvs = yield* sortInSlices(this.#kvs, order, (units) => view.isOver(units));
    if (keysOnly !== true || sort.target !== "value") {
      return;
    }
    for (const [place, kv] of this.#kvs.entries()) {
      this.#kvs[place] = withoutValue(kv);
      if (view.isOver()) {
        yield;
      }
    }
  }

  /** Counts what was not collected, in strides that LMDB makes without us. */
  #countRest(view: View): boolean {
    if (this.#request.uncounted === true || (this.#after === undefined && this.#keep > 0)) {
      return true;
    }
    for (;;) {
      const bounds = boundsOf(this.#request, this.#after);
      if (bounds === undefined) {
        return true;
      }
      const [last] = view.tables.keys.getKeys({ ...bounds, offset: KEYS_PER_COUNT - 1, limit: 1 });
      if (last === undefined) {
        this.#count += view.tables.keys.getKeysCount(bounds);
        return true;
      }
      this.#count += KEYS_PER_COUNT;
      this.#after = last;
      if (view.isOver(UNITS_PER_COUNT)) {
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

function orderOf(a: KeyValue, b: KeyValue, target: NonNullable<RangeRequest["sort"]>["target"]): number {
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
