/** The engine in memory: what tests compare the others with. */
import { type Clock, systemClock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_LEASE_TTL_S, MIN_LEASE_TTL_S } from "../../base/limits.ts";
import type { Engine, EngineStatus, Watch } from "../engine.ts";
import type {
  LeaseGrant,
  LeaseId,
  LeaseStatus,
  RangeRequest,
  RangeResult,
  Revision,
  TxnRequest,
  TxnResult,
  WatchRequest,
} from "../model.ts";
import { type Change, deletion, type History, stateAt } from "./memory-history.ts";
import { checkRevision, type Moment, readRange } from "./memory-range.ts";
import { applyTxn } from "./memory-txn.ts";
import { checkKeys, checkTxn, checkWhole } from "./memory-txn-check.ts";
import { MemoryWatch } from "./memory-watch.ts";

/** The longest time that setTimeout can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const EVERY_KEY = { key: new Uint8Array(0), end: null };

export interface MemoryEngineOptions {
  /** Leases count on its monotonic time; default: the machine's. */
  readonly clock?: Clock;
}

/**
 * An engine that keeps everything in memory and forgets it when it is closed: for tests and trials. It is the reference
 * that the durable one is compared with, so it is written to be obviously right: it keeps a list of all changes for
 * ever, compacted or not, and works every answer out from that list. It shares nothing but types with other engines.
 */
export function openMemoryEngine(options: MemoryEngineOptions = {}): Engine {
  return new MemoryEngine(options.clock ?? systemClock);
}

interface Lease {
  readonly ttl: number;
  /** Monotonic time in ms. */
  readonly expires: number;
}

class MemoryEngine implements Engine {
  readonly #clock: Clock;
  readonly #watches = new Set<MemoryWatch>();
  readonly #leases = new Map<LeaseId, Lease>();
  #moment: Moment = { history: [], revision: 1, compactRevision: 0 };
  #lastChosenLease: LeaseId = 0n;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    this.#enter();
    checkKeys(request);
    checkWhole(request.revision);
    return readRange(this.#moment, request);
  }

  async txn(request: TxnRequest): Promise<TxnResult> {
    this.#enter();
    checkTxn(request);
    const { succeeded, results, changes } = applyTxn(this.#moment, request, (id) => this.#leases.has(id));
    this.#append(changes);
    return { revision: this.#moment.revision, succeeded, results };
  }

  watch(request: WatchRequest): Watch {
    this.#enter();
    checkKeys(request);
    checkWhole(request.startRevision);
    const watch = new MemoryWatch(
      request,
      () => this.#moment,
      (closed) => this.#watches.delete(closed),
    );
    this.#watches.add(watch);
    return watch;
  }

  async compact(revision: Revision): Promise<void> {
    this.#enter();
    checkWhole(revision);
    if (revision <= this.#moment.compactRevision) {
      throw new MusterError(
        "compacted",
        `compact to a later revision than "${revision}": the store is compacted to ${this.#moment.compactRevision}`,
        { details: { compactRevision: this.#moment.compactRevision } },
      );
    }
    checkRevision(this.#moment, revision);
    this.#moment = { ...this.#moment, compactRevision: revision };
  }

  async status(): Promise<EngineStatus> {
    this.#enter();
    return { revision: this.#moment.revision, compactRevision: this.#moment.compactRevision };
  }

  async grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    this.#enter();
    if (request.ttl > MAX_LEASE_TTL_S) {
      throw new MusterError(
        "leaseTtlTooLarge",
        `grant the lease for less than "${request.ttl}" s: ${MAX_LEASE_TTL_S} s is the longest`,
      );
    }
    const id = request.id === 0n ? this.#unusedLease() : request.id;
    if (this.#leases.has(id)) {
      throw new MusterError("leaseExists", `choose another lease ID than "${id}": there is one of this ID`);
    }
    const ttl = Math.max(request.ttl, MIN_LEASE_TTL_S);
    this.#leases.set(id, { ttl, expires: this.#clock.monotonic() + ttl * 1000 });
    this.#setTimer();
    return { id, ttl };
  }

  async revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }> {
    this.#enter();
    this.#lease(id);
    this.#revoke(id);
    return { revision: this.#moment.revision };
  }

  async keepLeaseAlive(id: LeaseId): Promise<number> {
    this.#enter();
    const { ttl } = this.#lease(id);
    this.#leases.set(id, { ttl, expires: this.#clock.monotonic() + ttl * 1000 });
    this.#setTimer();
    return ttl;
  }

  async leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    this.#enter();
    const { ttl, expires } = this.#lease(id);
    return {
      id,
      grantedTtl: ttl,
      ttl: Math.floor((expires - this.#clock.monotonic()) / 1000),
      keys: options.keys ? this.#keysOf(id).map((key) => Uint8Array.from(key)) : [],
    };
  }

  async leases(): Promise<readonly LeaseId[]> {
    this.#enter();
    return [...this.#leases.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  async probe(): Promise<void> {
    this.#enter();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const watch of [...this.#watches]) {
      watch.close();
    }
  }

  /** Every call comes through here first, so that nobody meets a lease whose time is over. */
  #enter(): void {
    if (this.#closed) {
      throw new MusterError("closed", "open the engine again: it was closed");
    }
    this.#expire();
  }

  #append(changes: History): void {
    if (changes.length > 0) {
      this.#moment = {
        history: [...this.#moment.history, ...changes],
        revision: this.#moment.revision + 1,
        compactRevision: this.#moment.compactRevision,
      };
      for (const watch of this.#watches) {
        watch.wake();
      }
    }
  }

  #keysOf(id: LeaseId): readonly Change["kv"]["key"][] {
    const { history, revision } = this.#moment;
    return stateAt(history, EVERY_KEY, revision)
      .filter((kv) => kv.lease === id)
      .map((kv) => kv.key);
  }

  #revoke(id: LeaseId): void {
    this.#leases.delete(id);
    this.#append(this.#keysOf(id).map((key) => deletion(key, this.#moment.revision + 1)));
  }

  #expire(): void {
    const now = this.#clock.monotonic();
    for (const [id, { expires }] of [...this.#leases].sort(([, a], [, b]) => a.expires - b.expires)) {
      if (expires <= now) {
        this.#revoke(id);
      }
    }
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const soonest = Math.min(...[...this.#leases.values()].map(({ expires }) => expires));
    if (!this.#closed && soonest !== Number.POSITIVE_INFINITY) {
      const wait = Math.min(Math.max(Math.ceil(soonest - this.#clock.monotonic()), 1), MAX_TIMER_MS);
      this.#timer = setTimeout(() => {
        this.#expire();
        this.#setTimer();
      }, wait).unref();
    }
  }

  #lease(id: LeaseId): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      throw new MusterError("leaseNotFound", `grant the lease first, "${id}": there is none of this ID`);
    }
    return lease;
  }

  #unusedLease(): LeaseId {
    do {
      this.#lastChosenLease += 1n;
    } while (this.#leases.has(this.#lastChosenLease));
    return this.#lastChosenLease;
  }
}
