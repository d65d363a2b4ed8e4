/** The leases of a local engine in memory: when each ends, on a clock that never jumps. Their keys are the store's business. */
import type { LeaseId } from "./model.ts";

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

  /** The leases whose time is over, the longest over first. */
  expired(): LeaseId[] {
    const now = this.#monotonic();
    const over: [LeaseId, Lease][] = [];
    for (const entry of this.#leases) {
      if (entry[1].deadline <= now) {
        over.push(entry);
      }
    }
    return over.sort(([, a], [, b]) => a.deadline - b.deadline).map(([id]) => id);
  }

  /** All IDs in rising order. */
  ids(): LeaseId[] {
    return [...this.#leases.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  #isOver(lease: Lease): boolean {
    return lease.deadline <= this.#monotonic();
  }
}
