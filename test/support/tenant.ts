import { setTimeout as sleep } from "node:timers/promises";
import { utf8 } from "../../src/base/bytes.ts";
import { isMusterError } from "../../src/base/errors.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { LeaseId, Revision } from "../../src/engine/model.ts";

const PAUSE_MS = 10;
const COMPACTS_EVERY = 5;
/** More than the least that etcd grants, so that they stay. */
const LEASE_TTL_S = 3600;
const LEASES = 3;

/**
 * Somebody else on the same etcd, to whom all of it belongs: writes without a pause, compacts all the time, and holds
 * leases.
 */
export class Tenant {
  readonly #root: Engine;
  readonly leases: readonly LeaseId[];
  /** History from this revision on is kept; undefined: none is. */
  keepsFrom: Revision | undefined;
  #compacted = 0;
  #isStopping = false;
  readonly #done: Promise<void>;

  private constructor(root: Engine, leases: readonly LeaseId[]) {
    this.#root = root;
    this.leases = leases;
    this.#done = this.#live();
  }

  static async start(root: Engine): Promise<Tenant> {
    const leases: LeaseId[] = [];
    for (let index = 0; index < LEASES; index++) {
      leases.push((await root.grantLease({ id: 0n, ttl: LEASE_TTL_S })).id);
    }
    return new Tenant(root, leases);
  }

  /** Resolves when it does nothing any more; rejects where it was hurt. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#done;
  }

  async #live(): Promise<void> {
    for (let round = 0; !this.#isStopping; round++) {
      const lease = this.leases[round % this.leases.length] ?? 0n;
      const put = { kind: "put", request: { key: utf8(`a/${round % 7}`), value: utf8(`${round}`), lease } } as const;
      const { revision } = await this.#root.txn({ compares: [], success: [put], failure: [] });
      const target = Math.min(this.keepsFrom ?? revision, revision);
      if (round % COMPACTS_EVERY === 0 && target > this.#compacted) {
        await this.#compact(target);
      }
      await sleep(PAUSE_MS);
    }
  }

  async #compact(revision: Revision): Promise<void> {
    try {
      await this.#root.compact(revision, { physical: true });
    } catch (error) {
      if (!isMusterError(error, "compacted")) throw error;
    }
    this.#compacted = revision;
  }
}
