/**
 * One store that several processes share, as a remote one looks to each: everything takes its time, watches are told
 * late, connections break, answers are lost, and somebody else writes to it and compacts it.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../src/base/clock.ts";
import { MusterError } from "../../src/base/errors.ts";
import type { Engine, EngineStatus, StoreEndpoint, Watch } from "../../src/engine/engine.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import type {
  LeaseGrant,
  LeaseId,
  LeaseStatus,
  RangeRequest,
  RangeResult,
  Revision,
  TxnRequest,
  TxnResult,
  WatchMessage,
  WatchRequest,
} from "../../src/engine/model.ts";
import { type Deferred, deferred } from "./deferred.ts";

/** The other tenant's, which no process of ours sees. */
const TENANT_BYTE = 0xff;

/** How many turns of the event loop a message takes at most. */
const MOST_TURNS = 3;

/** What becomes of a write whose answer is lost. */
export type Lost = "applied" | "notApplied";

export class SharedStore {
  readonly engine: Engine;
  /** Told of every call of a process, before anything becomes of it. */
  onCall: (() => void) | undefined;
  #seed: number;

  /** `seed`: of all chance in it. */
  constructor({ seed, clock }: { readonly seed: number; readonly clock: Clock }) {
    this.engine = openMemoryEngine({ clock });
    this.#seed = seed >>> 0;
  }

  /** The store as another process has it. */
  connect(): RemoteEngine {
    return new RemoteEngine(this);
  }

  /** Less than `below`, and not less than 0. */
  chance(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * below);
  }

  /** The other tenant writes: revisions pass that are nobody else's. */
  async burn(): Promise<void> {
    const request = { key: Uint8Array.of(TENANT_BYTE), value: new Uint8Array() };
    await this.engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
  }

  /** The other tenant compacts, to the newest revision. */
  async compact(): Promise<void> {
    const { revision, compactRevision } = await this.engine.status();
    if (revision > compactRevision) await this.engine.compact(revision);
  }

  /** Does `work` while the other tenant writes without end, and compacts as often as one time in `compactOneIn`. */
  async beside(compactOneIn: number, work: () => Promise<void>): Promise<void> {
    let isOver = false;
    const tenant = async () => {
      while (!isOver) {
        await this.burn();
        if (this.chance(compactOneIn) === 0) await this.compact();
        await this.delay();
        await turn();
      }
    };
    const living = tenant();
    try {
      await work();
    } finally {
      isOver = true;
      await living;
    }
  }

  async delay(): Promise<void> {
    for (let turns = this.chance(MOST_TURNS + 1); turns > 0; turns--) await turn();
  }
}

export class RemoteEngine implements Engine {
  /** What becomes of the next writes whose answers are lost, in this order; undefined: it is answered. */
  readonly losing: (Lost | undefined)[] = [];
  readonly #store: SharedStore;
  readonly #watches = new Set<RemoteWatch>();
  #isCut = false;
  #frozen: Deferred<void> | undefined;

  get isCut(): boolean {
    return this.#isCut;
  }

  /** It is remote, whatever it is called. */
  endpoints(): readonly StoreEndpoint[] {
    return [];
  }

  constructor(store: SharedStore) {
    this.#store = store;
  }

  /** Breaks the connection; nothing goes through before it is mended. */
  cut(): void {
    this.#isCut = true;
    for (const watch of this.#watches) watch.break();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** Nothing arrives, either way, before it is thawed; nothing breaks. */
  freeze(): void {
    this.#frozen ??= deferred();
  }

  thaw(): void {
    this.#frozen?.resolve();
    this.#frozen = undefined;
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#call((engine) => engine.range(request));
  }

  async txn(request: TxnRequest): Promise<TxnResult> {
    await this.#arrive();
    const writes = [...request.success, ...request.failure].some(({ kind }) => kind !== "range");
    const lost = writes ? this.losing.shift() : undefined;
    if (lost === "notApplied") throw unknown();
    const result = await this.#store.engine.txn(request);
    if (lost === "applied") throw unknown();
    await this.#travel();
    return result;
  }

  watch(request: WatchRequest): Watch {
    this.#store.onCall?.();
    if (this.#isCut) throw unavailable();
    const watch = new RemoteWatch({
      below: this.#store.engine.watch(request),
      travel: () => this.#travel(),
      onClose: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    return watch;
  }

  compact(revision: Revision): Promise<void> {
    return this.#call((engine) => engine.compact(revision));
  }

  status(): Promise<EngineStatus> {
    return this.#call((engine) => engine.status());
  }

  grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    return this.#call((engine) => engine.grantLease(request));
  }

  revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }> {
    return this.#call((engine) => engine.revokeLease(id));
  }

  keepLeaseAlive(id: LeaseId): Promise<number> {
    return this.#call((engine) => engine.keepLeaseAlive(id));
  }

  leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    return this.#call((engine) => engine.leaseStatus(id, options));
  }

  leases(): Promise<readonly LeaseId[]> {
    return this.#call((engine) => engine.leases());
  }

  probe(): Promise<void> {
    return this.#call((engine) => engine.probe());
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
  }

  async #call<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    await this.#arrive();
    const result = await work(this.#store.engine);
    await this.#travel();
    return result;
  }

  async #arrive(): Promise<void> {
    this.#store.onCall?.();
    if (this.#isCut) throw unavailable();
    await this.#travel();
    if (this.#isCut) throw unavailable();
  }

  /** Resolves when what is on its way has arrived. */
  async #travel(): Promise<void> {
    await this.#store.delay();
    while (this.#frozen !== undefined) await this.#frozen.promise;
  }
}

interface RemoteWatchOptions {
  readonly below: Watch;
  readonly travel: () => Promise<void>;
  readonly onClose: () => void;
}

class RemoteWatch implements Watch {
  readonly createdRevision: Promise<Revision>;
  readonly #options: RemoteWatchOptions;
  #isBroken = false;

  constructor(options: RemoteWatchOptions) {
    this.createdRevision = options.below.createdRevision;
    this.#options = options;
  }

  break(): void {
    this.#isBroken = true;
    this.#options.below.close();
  }

  requestProgress(): void {
    this.#options.below.requestProgress();
  }

  close(): void {
    this.#options.below.close();
    this.#options.onClose();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchMessage> {
    try {
      for await (const message of this.#options.below) {
        await this.#options.travel();
        if (this.#isBroken) break;
        const ours = withoutTenant(message);
        if (ours !== undefined) yield ours;
      }
      if (this.#isBroken) throw unavailable();
    } finally {
      this.close();
    }
  }
}

function withoutTenant(message: WatchMessage): WatchMessage | undefined {
  if (message.kind !== "events") return message;
  const events = message.events.filter(({ kv }) => kv.key[0] !== TENANT_BYTE);
  return events.length === 0 ? undefined : { ...message, events };
}

function unavailable(): MusterError {
  return new MusterError("storeUnavailable", "try again: the connection is cut");
}

function unknown(): MusterError {
  return new MusterError("outcomeUnknown", "look before trying again: no answer came");
}
