/**
 * The keyspace of v3 clients with the registry in it: what they do below a token is what v2 clients do there. Whatever
 * does not meet the registry goes by untouched.
 */
import { type Clock, timeOver } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import type { KeyedQueue } from "../../base/keyed-queue.ts";
import { REGISTRY_TXN_ATTEMPTS } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Engine, EngineStatus, Watch } from "../../engine/engine.ts";
import type {
  LeaseGrant,
  LeaseId,
  LeaseStatus,
  Operation,
  RangeRequest,
  RangeResult,
  Revision,
  TxnRequest,
  TxnResult,
  WatchRequest,
} from "../../engine/model.ts";
import { clientTxn } from "../keyspace/client-keys.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { Origin } from "./origin.ts";
import type { Lifetime } from "./registration.ts";
import { Telling } from "./telling.ts";
import type { Token } from "./token.ts";
import { refuseUnusableSizes } from "./token-size.ts";
import { type MissingToken, readToken, type TokenState, unchangedToken } from "./token-state.ts";
import { meetsRegistry, readV3Members } from "./v3-keys.ts";
import { rideOn, type V3Write, writesBelowTokens } from "./v3-rides.ts";
import { mapRange, mapTxn, txnMeetsRegistry } from "./v3-txn.ts";
import { MembersWatch } from "./v3-watch.ts";

/** What all views of one registry share. */
export interface V3Shared {
  /** The store itself: what rides on a write is internal. */
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  readonly lifetime: () => Lifetime;
  /** Told of a token that is about to be written. */
  readonly onWrite: (token: Token) => void;
  /** Those whom others overtook write one after the other, by token. */
  readonly queue: KeyedQueue;
}

/** The keyspace as one client has it. There is one for each request: making one costs next to nothing. */
export class V3Keyspace implements Keyspace {
  readonly #shared: V3Shared;
  readonly #origin: Origin;
  readonly #below: Keyspace;

  /** `below`: what clients see of the store. */
  constructor(shared: V3Shared, origin: Origin, below: Keyspace) {
    this.#shared = shared;
    this.#origin = origin;
    this.#below = below;
  }

  /** What goes by untouched goes by without a promise of its own. */
  range(request: RangeRequest): Promise<RangeResult> {
    return meetsRegistry(request) ? this.#rangeOfMembers(request) : this.#below.range(request);
  }

  /** As `range`. */
  txn(request: TxnRequest): Promise<TxnResult> {
    return txnMeetsRegistry(request) ? this.#txnOfMembers(request) : this.#below.txn(request);
  }

  watch(request: WatchRequest): Watch {
    const members = meetsRegistry(request) ? readV3Members(request) : undefined;
    if (members === undefined) return this.#below.watch(request);
    return new MembersWatch({ engine: this.#shared.engine, below: this.#below }, members, request);
  }

  compact(revision: Revision, options?: { readonly physical?: boolean }): Promise<void> {
    return this.#below.compact(revision, options);
  }

  status(): Promise<EngineStatus> {
    return this.#below.status();
  }

  grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    return this.#below.grantLease(request);
  }

  revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }> {
    return this.#below.revokeLease(id);
  }

  keepLeaseAlive(id: LeaseId): Promise<number> {
    return this.#below.keepLeaseAlive(id);
  }

  leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    return this.#below.leaseStatus(id, options);
  }

  leases(): Promise<readonly LeaseId[]> {
    return this.#below.leases();
  }

  async #rangeOfMembers(request: RangeRequest): Promise<RangeResult> {
    const members = readV3Members(request);
    if (members === undefined) return this.#below.range(request);
    const { request: mapped, back } = mapRange(members, request);
    return back(await this.#below.range(mapped));
  }

  async #txnOfMembers(request: TxnRequest): Promise<TxnResult> {
    refuseUnusableSizes(request);
    const { request: mapped, back } = mapTxn(request);
    const writes = { success: writesBelowTokens(mapped.success), failure: writesBelowTokens(mapped.failure) };
    const isRead = writes.success.length === 0 && writes.failure.length === 0;
    const result = isRead ? await this.#below.txn(mapped) : await this.#write(clientTxn(mapped), writes);
    const named = back({ kind: "txn", ...result });
    if (named.kind !== "txn") return result;
    this.#telling.deletions(result.succeeded ? request.success : request.failure, named.results);
    return { revision: result.revision, succeeded: result.succeeded, results: named.results };
  }

  /** The first try is free; whoever was overtaken queues up, and newcomers behind, so that none is overtaken for ever. */
  async #write(request: TxnRequest, writes: Writes): Promise<TxnResult> {
    const { queue } = this.#shared;
    const tokens = new Set([...writes.success, ...writes.failure].map(({ token }) => token));
    const [place = ""] = tokens;
    const first = queue.isBusy(place) ? undefined : await this.#try(request, writes, tokens);
    const result = first ?? (await queue.run(place, () => this.#persist(request, writes, tokens)));
    this.#telling.writes(result.states, result.succeeded ? writes.success : writes.failure);
    return result;
  }

  async #persist(request: TxnRequest, writes: Writes, tokens: ReadonlySet<Token>): Promise<Written> {
    for (let attempt = 0; attempt < REGISTRY_TXN_ATTEMPTS; attempt++) {
      const result = await this.#try(request, writes, tokens);
      if (result !== undefined) return result;
    }
    throw new MusterError(
      "contention",
      "Try again: others keep registering with a token that the transaction writes to",
    );
  }

  /** One try; undefined where a token was written to meanwhile. */
  async #try(request: TxnRequest, writes: Writes, tokens: ReadonlySet<Token>): Promise<Written | undefined> {
    const states = await this.#readTokens(tokens);
    const ridden: TxnRequest = {
      compares: request.compares,
      success: [...request.success, ...this.#rides(states, writes.success)],
      failure: [...request.failure, ...this.#rides(states, writes.failure)],
    };
    const compares = states.flatMap(unchangedToken);
    // Past the keyspace, which has no internal keys: what rides on the client's part is one.
    const { revision, succeeded, results } = await this.#shared.engine.txn({
      compares,
      success: [{ kind: "txn", request: ridden }],
      failure: [],
    });
    const [inner] = results;
    if (!succeeded || inner?.kind !== "txn") return undefined;
    return { revision, succeeded: inner.succeeded, results: inner.results, states };
  }

  async #readTokens(tokens: ReadonlySet<Token>): Promise<readonly (TokenState | MissingToken)[]> {
    const { engine, clock, onWrite } = this.#shared;
    const now = timeOver(clock);
    return Promise.all(
      [...tokens].map((token) => {
        onWrite(token);
        return readToken(engine, token, now);
      }),
    );
  }

  /** A token that is not there is made by hand: it has no record before somebody registers. */
  #rides(states: readonly (TokenState | MissingToken)[], writes: readonly V3Write[]): readonly Operation[] {
    const context = { origin: this.#origin, lifetime: this.#shared.lifetime() };
    return states.flatMap((state) => {
      if (!state.exists) return [];
      const own = writes.filter(({ token }) => token === state.token);
      return own.length === 0 ? [] : rideOn(state, own, context);
    });
  }

  get #telling(): Telling {
    return new Telling(this.#shared.log, this.#origin);
  }
}

interface Writes {
  readonly success: readonly V3Write[];
  readonly failure: readonly V3Write[];
}

interface Written extends TxnResult {
  /** The tokens as they stood before. */
  readonly states: readonly (TokenState | MissingToken)[];
}
