/** Leases on LMDB: their IDs, times to live and keys are durable, how much time is left is not, as in etcd. */
import { randomBytes } from "node:crypto";
import { isMusterError, MusterError } from "../../base/errors.ts";
import {
  LEASE_CHECK_MS,
  LEASE_END_BATCH,
  LEASE_FIRST_KEYS,
  LEASE_KEYS_PER_READ,
  MAX_LEASE_TTL_S,
  MIN_LEASE_TTL_S,
} from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { LeaseTable } from "../lease-table.ts";
import { inSlices } from "../long-loop.ts";
import { type LeaseGrant, type LeaseId, type LeaseStatus, NO_LEASE, type Revision } from "../model.ts";
import type { Draft } from "./lmdb-draft.ts";
import type { Tables } from "./lmdb-open.ts";
import { leaseNotFound } from "./lmdb-refusals.ts";
import { decodeCount, decodeLeaseKey, LARGEST_LEASE_ID, leaseIn, leaseKey } from "./lmdb-schema.ts";
import { readState, readVersion } from "./lmdb-snapshot.ts";
import { unitsOf } from "./lmdb-view.ts";
import type { Work } from "./lmdb-work.ts";
import type { LmdbWriter } from "./lmdb-writer.ts";

export interface LmdbLeasesOptions {
  readonly writer: LmdbWriter;
  readonly log: Log;
  /** Time in ms that never jumps. */
  readonly monotonic: () => number;
  /** Chooses an ID: positive, 63 bits. */
  readonly randomLeaseId: () => LeaseId;
}

export class LmdbLeases {
  readonly #options: LmdbLeasesOptions;
  readonly #table: LeaseTable;
  /** Whether expired leases are being ended. */
  #isEnding = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LmdbLeasesOptions) {
    this.#options = options;
    this.#table = new LeaseTable(options.monotonic);
  }

  /**
   * Takes up what the store has: leases that are not known yet get their full time, as after a change of leader in etcd.
   */
  load(tables: Tables): Promise<void> {
    return inSlices((isOver) => this.#load(tables, isOver));
  }

  *#load(tables: Tables, isOver: () => boolean): Generator<void, void, void> {
    const stored = new Set<LeaseId>();
    for (let after: LeaseId | undefined = NO_LEASE; after !== undefined; ) {
      const range = { start: leaseKey(after), exclusiveStart: true };
      after = undefined;
      for (const { key, value } of tables.leases.getRange(range)) {
        const id = decodeLeaseKey(key);
        stored.add(id);
        if (!this.#table.has(id)) {
          this.#table.start(id, decodeCount(value));
        }
        if (isOver()) {
          after = id;
          break;
        }
      }
      if (after !== undefined) {
        yield;
      }
    }
    for (const id of this.#table.unsortedIds()) {
      if (!stored.has(id)) {
        this.#table.remove(id);
      }
      if (isOver()) {
        yield;
      }
    }
  }

  /** Ends leases as they expire, until `stop`. */
  start(): void {
    this.#timer = setInterval(() => this.#endExpiredAlone(), LEASE_CHECK_MS);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async grant(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    const ttl = Math.max(MIN_LEASE_TTL_S, Math.ceil(request.ttl));
    if (!(ttl <= MAX_LEASE_TTL_S)) {
      throw new MusterError(
        "leaseTtlTooLarge",
        `Ask for at most ${MAX_LEASE_TTL_S} s: a lease of "${request.ttl}" is too long`,
      );
    }
    if (request.id < 0n || request.id > LARGEST_LEASE_ID) {
      throw new MusterError(
        "invalidArgument",
        `Choose a positive ID of 63 bits, or 0 to have one chosen: "${request.id}" is none`,
      );
    }
    return this.#options.writer.submit((draft) => {
      const id = request.id === 0n ? this.#freeId(draft) : request.id;
      if (draft.hasLease(id)) {
        throw new MusterError("leaseExists", `Choose another ID, or 0 to have one chosen: there is a lease "${id}"`);
      }
      draft.grantLease(id, ttl);
      draft.effects.push(() => this.#table.start(id, ttl));
      return { id, ttl };
    });
  }

  async revoke(id: LeaseId): Promise<{ readonly revision: Revision }> {
    return this.#options.writer.submitSliced((draft) => end(draft, id, this.#table));
  }

  keepAlive(id: LeaseId): number {
    const ttl = this.#table.renew(id);
    if (ttl === undefined) {
      throw leaseNotFound(id);
    }
    return ttl;
  }

  async status(tables: Tables, id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    const keys = options.keys && this.#table.timeToLive(id) !== undefined ? await this.#keysOf(tables, id) : [];
    const time = this.#table.timeToLive(id);
    if (time === undefined) {
      throw leaseNotFound(id);
    }
    return { id, grantedTtl: time.granted, ttl: time.left, keys };
  }

  /** All IDs in rising order. */
  ids(): Promise<readonly LeaseId[]> {
    return inSlices((isOver) => this.#table.ids(isOver));
  }

  /** Few keys are read at once. Very many, and those that an unfinished write may have touched, when nobody writes. */
  async #keysOf(tables: Tables, id: LeaseId): Promise<readonly Buffer[]> {
    if (readState(tables).unfinished !== true) {
      const first = [...tables.leaseKeys.getValues(leaseKey(id), { limit: LEASE_FIRST_KEYS })];
      if (first.length < LEASE_FIRST_KEYS) {
        return first;
      }
    }
    return this.#options.writer.submitSliced((draft) => allLeasedKeys(draft, id));
  }

  #freeId(draft: Draft): LeaseId {
    for (;;) {
      const id = this.#options.randomLeaseId();
      if (id > 0n && id <= LARGEST_LEASE_ID && !draft.hasLease(id)) {
        return id;
      }
    }
  }

  #endExpiredAlone(): void {
    if (!this.#isEnding) {
      this.#isEnding = true;
      void this.#endExpired().finally(() => {
        this.#isEnding = false;
      });
    }
  }

  /** Ends what has expired by now, some leases at a time, so that others can write in between. */
  async #endExpired(): Promise<void> {
    // One report a round: while the store is down all leases of the round fail alike.
    let reported = false;
    const report = (error: unknown) => {
      // Revoked by hand in the same moment, or the engine is being closed: nothing is left to do.
      if (!reported && !isMusterError(error, "leaseNotFound") && !isMusterError(error, "closed")) {
        reported = true;
        this.#options.log.warn({ err: error }, "could not end expired leases: it is tried again");
      }
    };
    const expired = this.#table.isEmpty ? [] : await inSlices((isOver) => this.#table.expired(isOver));
    for (let from = 0; from < expired.length && !this.#stopped && !reported; from += LEASE_END_BATCH) {
      const batch = expired.slice(from, from + LEASE_END_BATCH);
      await Promise.all(batch.map((id) => this.#endOne(id).catch(report)));
    }
  }

  /** Its ID may have been revoked and granted anew while this waited. */
  #endOne(id: LeaseId): Promise<void> {
    const table = this.#table;
    return this.#options.writer.submitSliced(function* (draft): Work<void> {
      if (table.isExpired(id) && !draft.granted.has(id)) {
        yield* end(draft, id, table);
      }
    });
  }
}

/** Deletes all keys of a lease, and then the lease. Error: `leaseNotFound`. */
function* end(draft: Draft, id: LeaseId, table: LeaseTable): Work<{ readonly revision: Revision }> {
  if (!draft.hasLease(id)) {
    throw leaseNotFound(id);
  }
  const chunk = draft.slice.unitsPerLook;
  for (let keys = draft.leasedKeys(id, chunk); keys.length > 0; keys = draft.leasedKeys(id, chunk)) {
    for (const key of keys) {
      const record = readVersion(draft.tables, key, "newest");
      if (record !== undefined && leaseIn(record) === id) {
        draft.delete(key, record);
      } else {
        draft.forgetLeasedKey(id, key);
      }
      if (draft.isOver(unitsOf(record))) {
        yield;
      }
    }
  }
  draft.removeLease(id);
  draft.effects.push(() => table.remove(id));
  return { revision: draft.finish() };
}

function* allLeasedKeys(draft: Draft, id: LeaseId): Work<readonly Buffer[]> {
  const all: Buffer[] = [];
  for (let read = -1; read !== 0; ) {
    read = 0;
    // By its place: lmdb cannot begin such a walk at a value.
    const range = { offset: all.length, limit: LEASE_KEYS_PER_READ };
    for (const key of draft.tables.leaseKeys.getValues(leaseKey(id), range)) {
      all.push(key);
      read++;
    }
    if (draft.isOver(LEASE_KEYS_PER_READ)) {
      yield;
    }
  }
  return all;
}

/** An ID as etcd chooses them: random, so that clients cannot guess each other's. */
export function randomLeaseId(): LeaseId {
  return randomBytes(8).readBigUInt64BE(0) & LARGEST_LEASE_ID;
}
