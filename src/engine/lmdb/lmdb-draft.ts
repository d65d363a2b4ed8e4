/**
 * What a group commit has done so far: the state that its transactions build upon one after the other, and what is to
 * happen in memory once all of it is synced. Nothing outside hears of a draft before that.
 */
import type { Bytes } from "../../base/bytes.ts";
import { NO_BYTES } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { WATCH_QUEUE_EVENTS } from "../../base/limits.ts";
import { type Event, type KeyValue, type LeaseId, NO_LEASE, type Revision } from "../model.ts";
import type { Slice } from "../slice.ts";
import type { Published, Touched, WatchHub } from "../watch-hub.ts";
import type { Tables } from "./lmdb-open.ts";
import {
  type Change,
  changeKey,
  decodeVersion,
  encodeChange,
  encodeCount,
  encodeState,
  encodeVersion,
  LARGEST_LEASE_ID,
  leaseIn,
  leaseKey,
  modRevisionOf,
  numberIn,
  STATE_KEY,
  type State,
} from "./lmdb-schema.ts";
import { readVersion } from "./lmdb-snapshot.ts";
import type { View } from "./lmdb-view.ts";

/** What a key is to become. */
export interface NewVersion {
  /** It is kept, so nobody may change it. */
  readonly key: Buffer;
  readonly value: Bytes;
  readonly lease: LeaseId;
}

export interface DraftOptions {
  /** The state that is stored. */
  readonly state: State;
  /** Says when a step is to yield. */
  readonly slice: Slice;
  /** Who is to be told of changes. */
  readonly hub: WatchHub;
}

/** What is synced, and now to be told. */
export interface Settled {
  readonly effects: readonly (() => void)[];
  /** The changes for watchers, by revision; none where nobody watches. */
  readonly changes: readonly Published[];
  /** How many keys' changes were written. */
  readonly written: number;
}

export class Draft implements View {
  readonly tables: Tables;
  readonly slice: Slice;
  /** A transaction sees the newest, what it has done itself included. */
  readonly moment = "newest";
  /** Runs when the draft is synced, before anybody is answered. */
  readonly effects: (() => void)[] = [];
  /** Leases that this draft makes: what was known of their IDs before does not hold for them. */
  readonly granted = new Set<LeaseId>();
  readonly #changes: Published[] = [];
  readonly #hub: WatchHub;
  readonly #collect: boolean;
  #stored: State;
  #revision: Revision;
  #compactRevision: Revision;
  #events: Event[] = [];
  /** Whom the revision under way concerns, once its events are too many to be kept. */
  #touched: Touched | undefined;
  #sub = 0;
  #writes = 0;
  #written = 0;

  constructor(tables: Tables, { state, slice, hub }: DraftOptions) {
    this.tables = tables;
    this.slice = slice;
    this.#hub = hub;
    this.#stored = state;
    this.#revision = state.revision;
    this.#compactRevision = state.compactRevision;
    this.#collect = hub.isWatched;
  }

  isOver(units?: number): boolean {
    return this.slice.isOver(units);
  }

  /** The revision after the transactions that are done. */
  get revision(): Revision {
    return this.#revision;
  }

  /** The revision that the transaction under way shows: a new one as soon as it changed something. */
  get currentRevision(): Revision {
    return this.#sub > 0 ? this.#revision + 1 : this.#revision;
  }

  get compactRevision(): Revision {
    return this.#compactRevision;
  }

  /** The mark that is durable already: readers that run while this draft is being committed are checked against it. */
  get durableCompactRevision(): Revision {
    return this.#stored.compactRevision;
  }

  /** Counts everything written: a step that threw may be passed over only if it had written nothing. */
  get writes(): number {
    return this.#writes;
  }

  /** Puts a key into the revision under way; `old` is its version record until now, if it existed. */
  put({ key, value, lease }: NewVersion, old: Buffer | undefined): void {
    const modRevision = this.#revision + 1;
    const createRevision = old === undefined ? modRevision : numberIn(old, "createRevision");
    const version = old === undefined ? 1 : numberIn(old, "version") + 1;
    const record = encodeVersion({ value, createRevision, modRevision, version, lease });
    this.#log({ kind: "put", key, createRevision, version, lease, previous: old });
    this.write(this.tables.keys, key, record);
    this.#moveLease(key, old === undefined ? NO_LEASE : leaseIn(old), lease);
    if (this.#touched !== undefined) {
      this.#touched.touch(key);
    } else if (this.#collect) {
      this.#tell({ kind: "put", kv: decodeVersion(key, record), prevKv: this.#beforehand(key, old) });
    }
    this.#sub++;
  }

  /** Deletes a key that exists, in the revision under way; `old` is its version record. The key is kept, as `put` does. */
  delete(key: Buffer, old: Buffer): void {
    this.#log({ kind: "delete", key, createRevision: 0, version: 0, lease: NO_LEASE, previous: old });
    this.remove(this.tables.keys, key);
    this.#moveLease(key, leaseIn(old), NO_LEASE);
    if (this.#touched !== undefined) {
      this.#touched.touch(key);
    } else if (this.#collect) {
      this.#tell({ kind: "delete", kv: deletedKey(key, this.#revision + 1), prevKv: this.#beforehand(key, old) });
    }
    this.#sub++;
  }

  /** Ends the transaction under way: what it changed becomes a revision. Answers with the newest. */
  finish(): Revision {
    if (this.#sub > 0) {
      this.#revision++;
      if (this.#touched !== undefined) {
        this.#changes.push({ revision: this.#revision, touched: this.#touched });
        this.#touched = undefined;
        this.#events = [];
      } else if (this.#collect) {
        this.#changes.push({ revision: this.#revision, events: this.#events });
        this.#events = [];
      }
      this.#sub = 0;
    }
    return this.#revision;
  }

  setCompactRevision(revision: Revision): void {
    this.#compactRevision = revision;
  }

  grantLease(id: LeaseId, ttl: number): void {
    this.granted.add(id);
    this.write(this.tables.leases, leaseKey(id), encodeCount(ttl));
  }

  hasLease(id: LeaseId): boolean {
    return id > NO_LEASE && id <= LARGEST_LEASE_ID && this.tables.leases.doesExist(leaseKey(id));
  }

  removeLease(id: LeaseId): void {
    this.remove(this.tables.leases, leaseKey(id));
  }

  /** The first keys that hang on a lease, in key order. */
  leasedKeys(id: LeaseId, limit: number): Buffer[] {
    return [...this.tables.leaseKeys.getValues(leaseKey(id), { limit })];
  }

  /** Takes a key off a lease. */
  forgetLeasedKey(id: LeaseId, key: Buffer): void {
    this.remove(this.tables.leaseKeys, leaseKey(id), key);
  }

  write(table: Tables["keys"], key: Buffer, value: Buffer): void {
    this.#writes++;
    table.putSync(key, value);
  }

  remove(table: Tables["keys"], key: Buffer, value?: Buffer): void {
    this.#writes++;
    if (value === undefined) {
      table.removeSync(key);
    } else {
      table.removeSync(key, value);
    }
  }

  /** Forgets a replaced version, as compaction does. */
  forgetPast(key: Buffer, span: readonly [mod: Revision, endMain: Revision, endSub: number]): void {
    this.#writes++;
    this.tables.past.removeSync(key, span);
  }

  /** Writes the new state, if there is one; the last thing before the commit. A transaction under way is unfinished. */
  seal(): void {
    const stored = this.#stored;
    const unfinished = this.#sub > 0;
    if (
      this.#revision !== stored.revision ||
      this.#compactRevision !== stored.compactRevision ||
      unfinished !== (stored.unfinished === true)
    ) {
      this.#stored = { revision: this.#revision, compactRevision: this.#compactRevision, unfinished };
      // Not counted as a step's write: it is nobody's.
      this.tables.meta.putSync(STATE_KEY, encodeState(this.#stored));
    }
  }

  /** Hands over what is to be told when all is synced; a transaction under way may go on. */
  settle(): Settled {
    this.granted.clear();
    const written = this.#written;
    this.#written = 0;
    return { effects: this.effects.splice(0), changes: this.#changes.splice(0), written };
  }

  /** Notes the change under way, and where what it replaces can be found. */
  #log(change: Change): void {
    const main = this.#revision + 1;
    const { key, previous } = change;
    this.#written++;
    this.#writes++;
    appendTo(this.tables.revs, changeKey(main, this.#sub), encodeChange(change));
    if (previous !== undefined) {
      this.#writes++;
      this.tables.past.putSync(key, [modRevisionOf(previous), main, this.#sub]);
    }
  }

  /** Keeps an event; of more than a watch may have waiting, which are read from history then, only whom they concern. */
  #tell(event: Event): void {
    this.#events.push(event);
    if (this.#events.length > WATCH_QUEUE_EVENTS) {
      this.#touched = this.#hub.follow();
      for (const { kv } of this.#events) {
        this.#touched.touch(kv.key);
      }
      this.#events = [];
    }
  }

  /** What watchers are told was there before: before the revision, as etcd, not before the operation. */
  #beforehand(key: Buffer, old: Buffer | undefined): KeyValue | undefined {
    const isOwn = old !== undefined && modRevisionOf(old) > this.#revision;
    const record = isOwn ? readVersion(this.tables, key, this.#revision) : old;
    return record === undefined ? undefined : decodeVersion(key, record);
  }

  #moveLease(key: Buffer, from: LeaseId, to: LeaseId): void {
    if (from === to) {
      return;
    }
    if (from !== NO_LEASE) {
      this.remove(this.tables.leaseKeys, leaseKey(from), key);
    }
    if (to !== NO_LEASE) {
      this.write(this.tables.leaseKeys, leaseKey(to), key);
    }
  }
}

const APPEND = { append: true };

/** Puts what comes behind all that is in the table: then LMDB fills its pages, instead of splitting the last one in halves. */
function appendTo(table: Tables["revs"], key: Buffer, value: Buffer): void {
  // Its types do not say that it answers whether it did.
  const isDone: unknown = table.putSync(key, value, APPEND);
  if (isDone !== true) {
    throw new MusterError("internal", "Report this defect: the log holds a change that is yet to come");
  }
}

/** What a delete event shows: the key and when it went. */
export function deletedKey(key: Bytes, modRevision: Revision): KeyValue {
  return { key, value: NO_BYTES, createRevision: 0, modRevision, version: 0, lease: NO_LEASE };
}
