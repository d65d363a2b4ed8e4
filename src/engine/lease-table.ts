/** The leases of a local engine in memory: when each ends, on a clock that never jumps. Their keys are the store's business. */
import { sortInSlices } from "../base/sliced-sort.ts";
import type { LeaseId } from "./model.ts";

/** Told of work in units of a few µs, it answers whether a slice is over. */
type IsOver = (units: number) => boolean;

/** Looking at a lease is so much work. */
const UNITS_PER_LEASE = 1 / 16;

interface Lease {
  /** Time to live granted, in s. */
  readonly ttl: number;
  /** When it ends, in ms of the monotonic clock. */
  readonly deadline: number;
}

export class LeaseTable {
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #monotonic: () => number;

  /** `monotonic` tells the time in ms and never jumps. */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Whether there is such a lease, though its time may be over. */
  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  /** Starts a lease, or starts it over, with its full time; `ttl` in s. */
  start(id: LeaseId, ttl: number): void {
    this.#leases.set(id, { ttl, deadline: this.#monotonic() + ttl * 1000 });
  }

  /** Gives a lease its full time again. Answers with it, in s; undefined where there is none or its time is over. */
  renew(id: LeaseId): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined || this.#isOver(lease)) {
      return undefined;
    }
    this.start(id, lease.ttl);
    return lease.ttl;
  }

  remove(id: LeaseId): void {
    this.#leases.delete(id);
  }

  /** The time granted and the time left, both in whole s, the latter rounded down as etcd does; undefined where there is none or it is over. */
  timeToLive(id: LeaseId): { readonly granted: number; readonly left: number } | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined || this.#isOver(lease)) {
      return undefined;
    }
    return { granted: lease.ttl, left: Math.floor((lease.deadline - this.#monotonic()) / 1000) };
  }

  /** Whether the lease's time is over, though nobody has ended it yet. */
  isExpired(id: LeaseId): boolean {
    const lease = this.#leases.get(id);
    return lease !== undefined && this.#isOver(lease);
  }

  /** Whether there is no lease at all. */
  get isEmpty(): boolean {
    return this.#leases.size === 0;
  }

  /** The leases whose time is over, the longest over first; looked for in slices. */
  *expired(isOver: IsOver): Generator<void, LeaseId[], void> {
    const now = this.#monotonic();
    const over: { readonly id: LeaseId; readonly deadline: number }[] = [];
    for (const [id, { deadline }] of this.#leases) {
      if (deadline <= now) {
        over.push({ id, deadline });
      }
      if (isOver(UNITS_PER_LEASE)) {
        yield;
      }
    }
    const sorted = yield* sortInSlices(over, (a, b) => a.deadline - b.deadline, isOver);
    return sorted.map(({ id }) => id);
  }

  /** All IDs in rising order, sorted in slices. */
  *ids(isOver: IsOver): Generator<void, LeaseId[], void> {
    return yield* sortInSlices([...this.#leases.keys()], (a, b) => (a < b ? -1 : a > b ? 1 : 0), isOver);
  }

  /** All IDs. */
  unsortedIds(): Iterable<LeaseId> {
    return this.#leases.keys();
  }

  #isOver(lease: Lease): boolean {
    return lease.deadline <= this.#monotonic();
  }
}
