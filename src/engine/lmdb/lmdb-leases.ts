/** Leases on LMDB: their IDs, times to live and keys are durable, how much time is left is not, as in etcd. */
import { randomBytes } from "node:crypto";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { LEASE_CHECK_MS, MAX_LEASE_TTL_S, MIN_LEASE_TTL_S } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { LeaseTable } from "../lease-table.ts";
import type { LeaseGrant, LeaseId, LeaseStatus, Revision } from "../model.ts";
import type { Draft } from "./lmdb-draft.ts";
import type { Tables } from "./lmdb-open.ts";
import { decodeCount, decodeLeaseKey, LARGEST_LEASE_ID, leaseKey } from "./lmdb-schema.ts";
import { readKey } from "./lmdb-snapshot.ts";
import { leaseNotFound } from "./lmdb-txn.ts";
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
  /** Expired leases that are being ended, so that none is ended twice. */
  readonly #ending = new Set<LeaseId>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LmdbLeasesOptions) {
    this.#options = options;
    this.#table = new LeaseTable(options.monotonic);
  }

  /**
   * Takes up what the store has: leases that are not known yet get their full time, as after a change of leader in etcd.
   */
  load(tables: Tables): void {
    const stored = new Map<LeaseId, number>();
    for (const { key, value } of tables.leases.getRange({})) {
      stored.set(decodeLeaseKey(key), decodeCount(value));
    }
    const known = new Set(this.#table.ids());
    for (const id of known) {
      if (!stored.has(id)) {
        this.#table.remove(id);
      }
    }
    for (const [id, ttl] of stored) {
      if (!known.has(id)) {
        this.#table.start(id, ttl);
      }
    }
  }

  /** Ends leases as they expire, until `stop`. */
  start(): void {
    this.#timer = setInterval(() => this.#endExpired(), LEASE_CHECK_MS);
    this.#timer.unref();
  }

  stop(): void {
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
    return this.#options.writer.submit((draft) => this.#end(draft, id));
  }

  keepAlive(id: LeaseId): number {
    const ttl = this.#table.renew(id);
    if (ttl === undefined) {
      throw leaseNotFound(id);
    }
    return ttl;
  }

  status(tables: Tables, id: LeaseId, options: { readonly keys: boolean }): LeaseStatus {
    const time = this.#table.timeToLive(id);
    if (time === undefined) {
      throw leaseNotFound(id);
    }
    const keys = options.keys ? [...tables.leaseKeys.getValues(leaseKey(id))] : [];
    return { id, grantedTtl: time.granted, ttl: time.left, keys };
  }

  ids(): readonly LeaseId[] {
    return this.#table.ids();
  }

  #freeId(draft: Draft): LeaseId {
    for (;;) {
      const id = this.#options.randomLeaseId();
      if (id > 0n && id <= LARGEST_LEASE_ID && !draft.hasLease(id)) {
        return id;
      }
    }
  }

  #end(draft: Draft, id: LeaseId): { readonly revision: Revision } {
    if (!draft.hasLease(id)) {
      throw leaseNotFound(id);
    }
    for (const key of draft.leasedKeys(id)) {
      const kv = readKey(draft.tables, key, "newest");
      if (kv !== undefined) {
        draft.delete(kv);
      }
    }
    draft.removeLease(id);
    draft.effects.push(() => this.#table.remove(id));
    return { revision: draft.finish() };
  }

  #endExpired(): void {
    // One report a round: while the store is down all leases of the round fail alike.
    let reported = false;
    const report = (error: unknown) => {
      // Revoked by hand in the same moment, or the engine is being closed: nothing is left to do.
      if (!reported && !isMusterError(error, "leaseNotFound") && !isMusterError(error, "closed")) {
        reported = true;
        this.#options.log.warn({ err: error }, "could not end expired leases: it is tried again");
      }
    };
    for (const id of this.#table.expired()) {
      if (!this.#ending.has(id)) {
        this.#ending.add(id);
        this.#options.writer
          .submit((draft) => this.#endIfExpired(draft, id))
          .catch(report)
          .finally(() => this.#ending.delete(id));
      }
    }
  }

  /** Its ID may have been revoked and granted anew while this waited. */
  #endIfExpired(draft: Draft, id: LeaseId): void {
    if (this.#table.isExpired(id) && !draft.granted.has(id)) {
      this.#end(draft, id);
    }
  }
}

/** An ID as etcd chooses them: random, so that clients cannot guess each other's. */
export function randomLeaseId(): LeaseId {
  return randomBytes(8).readBigUInt64BE(0) & LARGEST_LEASE_ID;
}
