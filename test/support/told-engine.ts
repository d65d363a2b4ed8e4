import { type Bytes, startsWith, utf8 } from "../../src/base/bytes.ts";
import { MusterError } from "../../src/base/errors.ts";
import type { Engine, EngineStatus, Watch } from "../../src/engine/engine.ts";
import type {
  Compare,
  Event,
  KeyRange,
  KeyValue,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResult,
  Revision,
  TxnRequest,
  TxnResult,
  WatchMessage,
  WatchRequest,
} from "../../src/engine/model.ts";

/** How the revisions of an engine, which begin anywhere and may have gaps, are told as 1, 2, 3 … */
export interface Numbering {
  told(revision: Revision): Promise<Revision>;
  asked(told: Revision): Promise<Revision>;
}

/** After the engine's own records: tests know nothing of them. */
const FIRST_VISIBLE = utf8("\0store0");
/** What a byte 0 at the beginning of a test's key becomes. */
const MOVED = utf8("\0z");

/**
 * An engine as a test of the contract wants it: its revisions begin at 1 and have no gaps, whoever else writes to the
 * same etcd, and the records that it keeps for itself are not seen.
 */
export class ToldEngine implements Engine {
  readonly isShared: boolean;
  readonly #engine: Engine;
  readonly #numbering: Numbering;

  constructor(engine: Engine, numbering: Numbering) {
    this.isShared = engine.isShared ?? false;
    this.#engine = engine;
    this.#numbering = numbering;
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    return this.#rangeResult(await this.#told(this.#engine.range(await this.#range(request))));
  }

  async txn(request: TxnRequest): Promise<TxnResult> {
    const { revision, succeeded, results } = await this.#told(this.#engine.txn(await this.#txn(request)));
    return { revision: await this.#numbering.told(revision), succeeded, results: await this.#results(results) };
  }

  watch(request: WatchRequest): Watch {
    const { startRevision = 0 } = request;
    if (startRevision !== 0 && Number.isSafeInteger(startRevision)) {
      return new LaterWatch(
        this.#numbering
          .asked(startRevision)
          // In the first revision the store is empty: whatever made it so is not seen.
          .then((start) => this.#watch({ ...request, startRevision: start + (startRevision === 1 ? 1 : 0) })),
      );
    }
    return this.#watch(request);
  }

  async compact(revision: Revision, options: { readonly physical?: boolean } = {}): Promise<void> {
    const asked = Number.isSafeInteger(revision) ? await this.#numbering.asked(revision) : revision;
    await this.#told(this.#engine.compact(asked, { ...options, physical: true }));
    COMPACTED.add(this.#numbering);
  }

  async status(): Promise<EngineStatus> {
    const { revision, compactRevision } = await this.#engine.status();
    return {
      revision: await this.#numbering.told(revision),
      // What others compact is not the test's.
      compactRevision: this.isShared ? 0 : Math.max(0, await this.#compactRevision(compactRevision)),
    };
  }

  grantLease(...parameters: Parameters<Engine["grantLease"]>): ReturnType<Engine["grantLease"]> {
    return this.#engine.grantLease(...parameters);
  }

  async revokeLease(...parameters: Parameters<Engine["revokeLease"]>): ReturnType<Engine["revokeLease"]> {
    const { revision } = await this.#engine.revokeLease(...parameters);
    return { revision: await this.#numbering.told(revision) };
  }

  keepLeaseAlive(...parameters: Parameters<Engine["keepLeaseAlive"]>): ReturnType<Engine["keepLeaseAlive"]> {
    return this.#engine.keepLeaseAlive(...parameters);
  }

  async leaseStatus(...parameters: Parameters<Engine["leaseStatus"]>): ReturnType<Engine["leaseStatus"]> {
    const status = await this.#engine.leaseStatus(...parameters);
    return { ...status, keys: this.isShared ? status.keys.map(plainKey) : status.keys };
  }

  leases(): ReturnType<Engine["leases"]> {
    return this.#engine.leases();
  }

  probe(): Promise<void> {
    return this.#engine.probe();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  #watch(request: WatchRequest): Watch {
    const watch = this.#engine.watch(this.#hidden(request));
    const message = (each: WatchMessage) => this.#message(each);
    const told = <T>(promise: Promise<T>) => this.#told(promise);
    const created = watch.createdRevision.then((revision) => this.#numbering.told(revision));
    created.catch(() => {});
    return {
      createdRevision: created,
      requestProgress: () => watch.requestProgress(),
      close: () => watch.close(),
      async *[Symbol.asyncIterator]() {
        const messages = watch[Symbol.asyncIterator]();
        try {
          for (;;) {
            const { value, done } = await told(messages.next());
            if (done === true) return;
            yield await message(value);
          }
        } finally {
          watch.close();
        }
      },
    };
  }

  async #message(message: WatchMessage): Promise<WatchMessage> {
    const revision = await this.#numbering.told(message.revision);
    return message.kind === "progress"
      ? { kind: "progress", revision }
      : { kind: "events", revision, events: await inTurn(message.events, (event) => this.#event(event)) };
  }

  async #event({ kind, kv, prevKv }: Event): Promise<Event> {
    return { kind, kv: await this.#kv(kv), prevKv: prevKv === undefined ? undefined : await this.#kv(prevKv) };
  }

  async #kv(kv: KeyValue): Promise<KeyValue> {
    const { told } = this.#numbering;
    const [createRevision, modRevision] = [kv.createRevision, kv.modRevision];
    return {
      ...kv,
      key: this.isShared ? plainKey(kv.key) : kv.key,
      createRevision: await told.call(this.#numbering, createRevision),
      modRevision: await told.call(this.#numbering, modRevision),
    };
  }

  async #rangeResult(result: RangeResult): Promise<RangeResult> {
    const kvs = await inTurn(result.kvs, (kv) => this.#kv(kv));
    return { ...result, revision: await this.#numbering.told(result.revision), kvs };
  }

  #results(results: readonly OperationResult[]): Promise<readonly OperationResult[]> {
    return inTurn(results, async (result): Promise<OperationResult> => {
      switch (result.kind) {
        case "range":
          return { kind: "range", result: await this.#rangeResult(result.result) };
        case "put":
          return { kind: "put", prevKv: result.prevKv === undefined ? undefined : await this.#kv(result.prevKv) };
        case "deleteRange":
          return { ...result, prevKvs: await inTurn(result.prevKvs, (kv) => this.#kv(kv)) };
        case "txn":
          return { ...result, results: await this.#results(result.results) };
      }
    });
  }

  async #range(request: RangeRequest): Promise<RangeRequest> {
    const asked = async (revision: Revision | undefined) =>
      revision === undefined || !Number.isSafeInteger(revision) ? revision : this.#numbering.asked(revision);
    const bounds = ["minModRevision", "maxModRevision", "minCreateRevision", "maxCreateRevision", "revision"] as const;
    const entries = await inTurn(bounds, async (name) => [name, await asked(request[name])] as const);
    const given = Object.fromEntries(entries.filter(([, revision]) => revision !== undefined));
    return { ...this.#hidden(request), ...given };
  }

  async #txn(request: TxnRequest): Promise<TxnRequest> {
    const operation = async (each: Operation): Promise<Operation> => {
      switch (each.kind) {
        case "range":
          return { kind: "range", request: await this.#range(each.request) };
        case "put":
          return { kind: "put", request: this.#hidden(each.request) };
        case "deleteRange":
          return { kind: "deleteRange", request: this.#hidden(each.request) };
        case "txn":
          return { kind: "txn", request: await this.#txn(each.request) };
      }
    };
    return {
      compares: await inTurn(request.compares, (compare) => this.#compare(compare)),
      success: await inTurn(request.success, operation),
      failure: await inTurn(request.failure, operation),
    };
  }

  async #compare(compare: Compare): Promise<Compare> {
    return compare.target === "createRevision" || compare.target === "modRevision"
      ? { ...this.#hidden(compare), expected: await this.#numbering.asked(compare.expected) }
      : this.#hidden(compare);
  }

  /** A range, or a key, of a test's as the engine has it: on a shared etcd the engine keeps records of its own. */
  #hidden<T extends KeyRange>(range: T): T {
    if (!this.isShared) return range;
    const end = range.end === undefined || range.end === null ? range.end : movedKey(range.end);
    const key = range.key.length === 0 && end !== undefined ? FIRST_VISIBLE : movedKey(range.key);
    return { ...range, key, ...(end === undefined ? {} : { end }) };
  }

  /** Errors name revisions, too. */
  async #told<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (error instanceof MusterError && typeof error.details.compactRevision === "number") {
        const compactRevision = await this.#compactRevision(error.details.compactRevision);
        throw new MusterError(error.code, error.message, { cause: error, details: { compactRevision } });
      }
      throw error;
    }
  }

  async #compactRevision(revision: Revision): Promise<Revision> {
    const told = await this.#numbering.told(revision);
    // Compacted before the test began, and not by it: not in its time.
    return told < 1 || (told === 1 && !COMPACTED.has(this.#numbering)) ? 0 : told;
  }
}

/** The numberings of stores that a test compacted; kept beside the engines, which come and go with restarts. */
const COMPACTED = new WeakSet<Numbering>();

/** A watch that begins when it is known where. */
class LaterWatch implements Watch {
  readonly createdRevision: Promise<Revision>;
  readonly #watch: Promise<Watch>;

  constructor(watch: Promise<Watch>) {
    this.#watch = watch;
    this.createdRevision = watch.then(({ createdRevision }) => createdRevision);
    this.createdRevision.catch(() => {});
  }

  requestProgress(): void {
    void this.#watch.then((watch) => watch.requestProgress());
  }

  close(): void {
    void this.#watch.then((watch) => watch.close());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchMessage> {
    yield* await this.#watch;
  }
}

/** A key of a test's as the engine has it: those that begin with byte 0 go behind the engine's own. Order is kept. */
function movedKey(key: Bytes): Bytes {
  return key[0] === 0 ? Buffer.concat([MOVED, key.subarray(1)]) : key;
}

function plainKey(key: Bytes): Bytes {
  return startsWith(key, MOVED) ? Buffer.concat([Uint8Array.of(0), key.subarray(MOVED.length)]) : key;
}

async function inTurn<T, R>(items: readonly T[], map: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (const item of items) {
    results.push(await map(item));
  }
  return results;
}
