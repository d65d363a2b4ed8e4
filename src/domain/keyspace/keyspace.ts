/**
 * What v3 clients see of the store: the engine less its internal keys. Requests are answered as if no key began with
 * byte 0: none is read, counted, compared, deleted or told of, and writing one is `invalidArgument`.
 */
import { orRejected } from "../../base/or-rejected.ts";
import type { Engine, EngineStatus, Watch } from "../../engine/engine.ts";
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
} from "../../engine/model.ts";
import { clientRange, clientTxn, isInternal } from "./client-keys.ts";

/** The engine's contract for all that clients may ask of it. */
export interface Keyspace
  extends Pick<
    Engine,
    | "range"
    | "txn"
    | "watch"
    | "compact"
    | "status"
    | "grantLease"
    | "revokeLease"
    | "keepLeaseAlive"
    | "leaseStatus"
    | "leases"
  > {}

/** The keys of clients in a store. It owns nothing: closing is the engine's. */
export function openKeyspace(engine: Engine): Keyspace {
  return new ClientKeyspace(engine);
}

class ClientKeyspace implements Keyspace {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#engine.range(clientRange(request));
  }

  txn(request: TxnRequest): Promise<TxnResult> {
    return orRejected(() => this.#engine.txn(clientTxn(request)));
  }

  watch(request: WatchRequest): Watch {
    return this.#engine.watch(clientRange(request));
  }

  compact(revision: Revision, options?: { readonly physical?: boolean }): Promise<void> {
    return this.#engine.compact(revision, options);
  }

  status(): Promise<EngineStatus> {
    return this.#engine.status();
  }

  grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    return this.#engine.grantLease(request);
  }

  revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }> {
    return this.#engine.revokeLease(id);
  }

  keepLeaseAlive(id: LeaseId): Promise<number> {
    return this.#engine.keepLeaseAlive(id);
  }

  async leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    const status = await this.#engine.leaseStatus(id, options);
    // Keys come in order, and nothing internal hangs on a lease so far.
    const [first] = status.keys;
    if (first === undefined || !isInternal(first)) return status;
    return { ...status, keys: status.keys.filter((key) => !isInternal(key)) };
  }

  leases(): Promise<readonly LeaseId[]> {
    return this.#engine.leases();
  }
}
