import { setTimeout as sleep } from "node:timers/promises";
import { utf8 } from "../../base/bytes.ts";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { STORE_CLOSE_MS, STORE_DEADLINE_MS } from "../../base/store-limits.ts";
import type { Engine, EngineStatus, StoreEndpoint, Watch } from "../engine.ts";
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
import { checkKeyRange, checkRange, checkTxn, checkWhole, isReadOnly } from "../txn-check.ts";
import { EtcdChannel } from "./etcd-channel.ts";
import { EtcdCompaction } from "./etcd-compaction.ts";
import { unavailable } from "./etcd-errors.ts";
import { EtcdLeases } from "./etcd-leases.ts";
import { COMPACT, RANGE, STATUS, TXN } from "./etcd-methods.ts";
import type { EtcdStoreOptions } from "./etcd-options.ts";
import { pagedRange } from "./etcd-paged-range.ts";
import { EtcdPulse } from "./etcd-pulse.ts";
import { wireRange, wireTxn } from "./etcd-requests.ts";
import { keyValue, rangeResult, txnResult } from "./etcd-results.ts";
import { compactedError, EtcdSpace, OFFSET_KEY } from "./etcd-space.ts";
import { spreadOfRange, spreadOfTxn } from "./etcd-spread.ts";
import { EtcdVersions } from "./etcd-versions.ts";
import { EtcdWatch, startOf, type WatchParts } from "./etcd-watch.ts";
import { NextRead } from "./next-read.ts";

export type { EtcdStoreOptions } from "./etcd-options.ts";

/**
 * Opens the store that lies in an etcd cluster. Any number of processes may do so at a time. Errors: `storeUnavailable`,
 * where no endpoint serves within STORE_DEADLINE_MS, or etcd does not let the user in; `directoryCorrupt`.
 */
export async function openEtcdEngine(options: EtcdStoreOptions): Promise<Engine> {
  const prefix = utf8(options.prefix);
  const channel = new EtcdChannel(options);
  try {
    const bare = new EtcdSpace(prefix, undefined);
    const { kvs } = await channel.read(RANGE, wireRange(bare, { key: OFFSET_KEY }));
    const record = kvs[0] === undefined ? undefined : keyValue(bare, kvs[0]);
    const engine = new EtcdEngine(options, { channel, space: new EtcdSpace(prefix, record) });
    await engine.learnCompaction();
    return engine;
  } catch (error) {
    channel.close();
    throw error;
  }
}

class EtcdEngine implements Engine {
  readonly isShared: boolean;
  readonly #channel: EtcdChannel;
  readonly #space: EtcdSpace;
  readonly #leases: EtcdLeases;
  readonly #compaction: EtcdCompaction;
  readonly #status: NextRead<Revision>;
  readonly #watchParts: WatchParts;
  readonly #watches = new Set<EtcdWatch>();
  /** Watches from now on that etcd does not have yet: what is asked after them must wait for them. */
  readonly #pending = new Set<EtcdWatch>();
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;

  constructor(
    options: EtcdStoreOptions,
    { channel, space }: { readonly channel: EtcdChannel; readonly space: EtcdSpace },
  ) {
    this.isShared = space.isShared;
    this.#channel = channel;
    this.#space = space;
    this.#leases = new EtcdLeases(channel, space);
    this.#compaction = new EtcdCompaction(channel, space, options.clock);
    this.#status = new NextRead(() => this.#newest());
    this.#watchParts = {
      channel,
      space,
      pulse: new EtcdPulse(channel, space),
      versions: new EtcdVersions(channel, options.clock),
      compaction: this.#compaction,
      newest: () => this.#status.ask(),
      onClose: (watch) => {
        this.#watches.delete(watch);
        this.#pending.delete(watch);
      },
    };
  }

  learnCompaction(): Promise<void> {
    return this.#compaction.look();
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#call(async () => {
      checkRange(request);
      return pagedRange(request, async (page) => {
        const wire = wireRange(this.#space, page);
        const response = await this.#channel.read(RANGE, wire, spreadOfRange(wire)).catch(this.#explained);
        return rangeResult(this.#space, response);
      });
    });
  }

  txn(request: TxnRequest): Promise<TxnResult> {
    return this.#call(async () => {
      checkTxn(request);
      const wire = wireTxn(this.#space, request, await this.#leases.namesFor(request));
      const spread = spreadOfTxn(wire);
      const call = isReadOnly(request) ? this.#channel.read(TXN, wire, spread) : this.#channel.write(TXN, wire, spread);
      return txnResult(this.#space, await call.catch(this.#explained));
    });
  }

  watch(request: WatchRequest): Watch {
    this.#mustBeOpen();
    checkKeyRange(request);
    checkWhole(startOf(request));
    const watch = new EtcdWatch(request, this.#watchParts);
    if (watch.hasEnded) {
      return watch;
    }
    this.#watches.add(watch);
    if (startOf(request) === 0) {
      this.#pending.add(watch);
      void watch.standing.then(() => this.#pending.delete(watch));
    }
    return watch;
  }

  compact(revision: Revision, options: { readonly physical?: boolean } = {}): Promise<void> {
    return this.#call(async () => {
      checkWhole(revision);
      if (this.isShared) {
        throw new MusterError(
          "sharedStore",
          "Let the owner of this etcd compact it: others keep their history in it too",
        );
      }
      const wire = { revision: this.#space.pastToWire(revision), physical: options.physical ?? false };
      await this.#channel.write(COMPACT, wire).catch(this.#explained);
      this.#compaction.learnt(revision);
    });
  }

  status(): Promise<EngineStatus> {
    return this.#call(async () => {
      const revision = this.#space.fromWire(await this.#status.ask());
      return { revision, compactRevision: this.#compaction.revision };
    });
  }

  grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    return this.#call(() => this.#leases.grant(request));
  }

  revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }> {
    return this.#call(() => this.#leases.revoke(id));
  }

  keepLeaseAlive(id: LeaseId): Promise<number> {
    return this.#call(() => this.#leases.keepAlive(id));
  }

  leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    return this.#call(() => this.#leases.status(id, options));
  }

  leases(): Promise<readonly LeaseId[]> {
    return this.#call(() => this.#leases.list());
  }

  /** A linearizable read needs a quorum, as a write does; and a member tells whether a full disk has stopped writes. */
  probe(): Promise<void> {
    return this.#call(async () => {
      await this.#status.ask();
      const alarm = await this.#channel.read(STATUS, {}).then(
        ({ errors }) => errors.find((each) => each.includes("NOSPACE")),
        // A user who may not ask for alarms hears of this one when a write is refused.
        () => undefined,
      );
      if (alarm !== undefined) {
        throw unavailable(`Compact and defragment etcd and disarm its alarm: its space quota is used up (${alarm})`);
      }
    });
  }

  endpoints(): readonly StoreEndpoint[] {
    return this.#channel.list();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const watch of [...this.#watches]) {
      watch.close();
    }
    const done = Promise.allSettled([...this.#underWay]);
    const patience = new AbortController();
    const late = sleep(STORE_CLOSE_MS, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([done, late]);
    patience.abort();
    // An etcd that does not answer must not keep a process that is to end.
    this.#channel.close();
    await done;
  }

  /** A call of a caller's: refused once the engine is closed, waited for until then. */
  #call<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.#entered().then(run);
    this.#underWay.add(result);
    const done = () => void this.#underWay.delete(result);
    result.then(done, done);
    return result;
  }

  async #entered(): Promise<void> {
    this.#mustBeOpen();
    if (this.#pending.size > 0) {
      await this.#watchesStand();
      this.#mustBeOpen();
    }
  }

  #mustBeOpen(): void {
    if (this.#closed) {
      throw new MusterError("closed", "Open the engine again: it was closed");
    }
  }

  async #watchesStand(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = unavailable("Look after etcd: it does not take a watch in time");
      timer = setTimeout(() => reject(error), STORE_DEADLINE_MS);
    });
    try {
      await Promise.race([Promise.all([...this.#pending].map((watch) => watch.standing)), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #newest(): Promise<Revision> {
    const { header } = await this.#channel.read(RANGE, wireRange(this.#space, { key: OFFSET_KEY, countOnly: true }));
    return header?.revision ?? 0;
  }

  /** etcd says of a read in compacted history only that it is so: what is known of the revision is added. */
  readonly #explained = (error: unknown): never => {
    throw isMusterError(error, "compacted") && error.details.compactRevision === undefined
      ? compactedError(this.#compaction.revision, error)
      : error;
  };
}
