/** The embedded engine: etcd's MVCC semantics on LMDB, in one process, durable. */
import type { Clock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { FIRST_READ_SLICE_MS, PROBE_BYTES, READ_SLICE_MS } from "../../base/limits.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { orRejected } from "../../base/or-rejected.ts";
import type { DiskUse, Engine, EngineStatus, Snapshot, Watch } from "../engine.ts";
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
import { Slice } from "../slice.ts";
import { turns } from "../turns.ts";
import { checkKeyRange, checkRange, checkTxn, checkWhole, isReadOnly } from "../txn-check.ts";
import { WatchHub } from "../watch-hub.ts";
import { corrupt, DataDirectory } from "./data-directory.ts";
import { LmdbCompactor } from "./lmdb-compactor.ts";
import { removeUnfinished } from "./lmdb-copy.ts";
import { defragment } from "./lmdb-defragment.ts";
import { diskUse } from "./lmdb-disk-use.ts";
import { LmdbHistory } from "./lmdb-history.ts";
import { LmdbLeases, randomLeaseId } from "./lmdb-leases.ts";
import type { Tables } from "./lmdb-open.ts";
import { RangeRead, type SlicedRead } from "./lmdb-range.ts";
import { checkRevision, compacted } from "./lmdb-refusals.ts";
import { EMPTY_STATE, encodeState, PROBE_KEY, STATE_KEY, type State } from "./lmdb-schema.ts";
import { newestOf, readState } from "./lmdb-snapshot.ts";
import { takeSnapshot } from "./lmdb-snapshot-file.ts";
import { LmdbStore } from "./lmdb-store.ts";
import { applyShortTxn, applyTxn, isShort } from "./lmdb-txn.ts";
import { TxnRead } from "./lmdb-txn-read.ts";
import { LmdbWriter } from "./lmdb-writer.ts";

export interface LmdbEngineOptions {
  /** Where the store lives; made if it is missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log?: Log;
  /** Chooses the ID of a lease that is granted without one: positive, 63 bits. Default: at random. */
  readonly randomLeaseId?: () => LeaseId;
  /** For tests: how long a write works before it lets others run, so that small ones can be made long. */
  readonly writeSlice?: { readonly ms: number; readonly unitsPerLook: number };
  /** Address space for LMDB's map, in bytes. Default: LMDB_MAP_BYTES, or less where the machine grants less. */
  readonly mapSize?: number;
}

/**
 * Opens the store in a directory, or makes one. Errors: `directoryInUse`, `directoryCorrupt`, `directoryTooNew`,
 * `storeUnavailable`.
 */
export async function openLmdbEngine(options: LmdbEngineOptions): Promise<Engine> {
  const directory = DataDirectory.open(options.directory);
  const log = options.log ?? silentLog;
  let store: LmdbStore | undefined;
  try {
    await removeUnfinished(directory.path);
    const { mapSize } = options;
    store = await LmdbStore.open({
      directory: directory.path,
      isNew: directory.isNew,
      log,
      ...(mapSize === undefined ? {} : { mapSize }),
    });
    if (directory.isNew) {
      await store.write((tables) => tables.meta.putSync(STATE_KEY, encodeState(EMPTY_STATE)));
      directory.commit();
    } else if (store.tables.meta.getBinary(STATE_KEY) === undefined) {
      throw corrupt(directory.path, "LMDB's file in it holds no store of Muster's");
    }
    const engine = new LmdbEngine({ ...options, log }, directory, store);
    await engine.start();
    return engine;
  } catch (error) {
    // What comes first is the reason; that what was half open could not be closed either adds nothing to it.
    await store?.close().catch((closing: unknown) => log.warn({ err: closing }, "could not close what failed to open"));
    directory.close();
    throw error;
  }
}

/** A read after its first slice. */
interface Begun<T> {
  readonly read: T;
  readonly revision: Revision;
  readonly done: boolean;
}

class LmdbEngine implements Engine {
  readonly #directory: DataDirectory;
  readonly #store: LmdbStore;
  readonly #monotonic: () => number;
  readonly #hub: WatchHub;
  readonly #writer: LmdbWriter;
  readonly #compactor: LmdbCompactor;
  readonly #leases: LmdbLeases;
  #closing: Promise<void> | undefined;
  #defragmenting: Promise<void> | undefined;

  constructor(options: LmdbEngineOptions & { readonly log: Log }, directory: DataDirectory, store: LmdbStore) {
    const monotonic = () => options.clock.monotonic();
    this.#directory = directory;
    this.#store = store;
    this.#monotonic = monotonic;
    this.#hub = new WatchHub(new LmdbHistory(store, monotonic), readState(store.tables).revision);
    this.#writer = new LmdbWriter({
      store,
      hub: this.#hub,
      directory: directory.path,
      monotonic,
      ...(options.writeSlice === undefined ? {} : { slice: new Slice({ ...options.writeSlice, monotonic }) }),
    });
    this.#compactor = new LmdbCompactor(this.#writer, options.log);
    this.#leases = new LmdbLeases({
      writer: this.#writer,
      log: options.log,
      monotonic,
      randomLeaseId: options.randomLeaseId ?? randomLeaseId,
    });
  }

  /** Before anything is asked of it. */
  async start(): Promise<void> {
    this.#store.onReopen((tables) => this.#takeUp(tables));
    await this.#takeUp(this.#store.tables);
    this.#leases.start();
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return orRejected(() => {
      checkRange(request);
      return this.#read(
        (_tables, state) => {
          const range = new RangeRead(request);
          if (range.oldest !== undefined) {
            checkRevision(range.oldest, state);
          }
          return range;
        },
        ({ read, revision }) => read.result(revision),
      );
    });
  }

  txn(request: TxnRequest): Promise<TxnResult> {
    return orRejected(() => {
      checkTxn(request);
      if (isReadOnly(request)) {
        return this.#read(
          (tables, state) => new TxnRead({ tables, newest: newestOf(state) }, state, request),
          ({ read }) => read.result(),
        );
      }
      return isShort(request)
        ? this.#writer.submit((draft) => applyShortTxn(draft, request))
        : this.#writer.submitSliced((draft) => applyTxn(draft, request));
    });
  }

  watch(request: WatchRequest): Watch {
    checkKeyRange(request);
    checkWhole(request.startRevision ?? 0);
    return this.#hub.watch(request, this.#newestRevision());
  }

  async compact(revision: Revision, { physical = false } = {}): Promise<void> {
    checkWhole(revision);
    await this.#writer.submit((draft) => {
      if (revision <= draft.compactRevision) {
        throw compacted(revision, draft.compactRevision);
      }
      checkRevision(revision, draft);
      draft.setCompactRevision(revision);
    });
    this.#compactor.start();
    if (physical) {
      await this.#compactor.settled();
    }
  }

  status(): Promise<EngineStatus> {
    return this.#look((tables) => {
      const { revision, compactRevision } = readState(tables);
      return { revision, compactRevision: Math.max(compactRevision, 0) };
    });
  }

  diskUse(): Promise<DiskUse> {
    return this.#look((tables) => diskUse(tables, readState(tables).revision, this.#directory.path));
  }

  async snapshot(): Promise<Snapshot> {
    this.#mustBeOpen();
    return takeSnapshot(this.#store, this.#directory.path);
  }

  async defragment(): Promise<void> {
    this.#mustBeOpen();
    const work = () => defragment(this.#store, this.#directory.path);
    this.#defragmenting ??= this.#writer.submitAlone(work).finally(() => {
      this.#defragmenting = undefined;
    });
    return await this.#defragmenting;
  }

  async grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant> {
    return this.#leases.grant(request);
  }

  async revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }> {
    return this.#leases.revoke(id);
  }

  async keepLeaseAlive(id: LeaseId): Promise<number> {
    this.#mustBeOpen();
    return this.#leases.keepAlive(id);
  }

  leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus> {
    return this.#look((tables) => this.#leases.status(tables, id, options));
  }

  async leases(): Promise<readonly LeaseId[]> {
    this.#mustBeOpen();
    return await this.#leases.ids();
  }

  async probe(): Promise<void> {
    this.#mustBeOpen();
    this.#directory.mustBeInPlace();
    // Not in line: a write that takes longer than the probe may wait is no reason to call the disk broken.
    await this.#writer.submitAside(({ meta }) => void meta.putSync(PROBE_KEY, Buffer.alloc(PROBE_BYTES)));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#leases.stop();
    this.#hub.close();
    await this.#compactor.stop();
    await this.#writer.close();
    try {
      await this.#store.close();
    } finally {
      this.#directory.close();
    }
  }

  /** Makes memory agree with what is on disk: at the start, and after LMDB had to be opened anew. */
  async #takeUp(tables: Tables): Promise<void> {
    await this.#leases.load(tables);
    const state = readState(tables);
    this.#hub.advance(state.revision);
    if (state.unfinished === true) {
      this.#writer.recover();
    }
    this.#compactor.start();
  }

  #mustBeOpen(): void {
    if (this.#closing !== undefined) {
      throw new MusterError("closed", "Open the engine first: it is closed");
    }
  }

  /** The tables as they are now, if the engine is open. Error: `storeUnavailable` while a failure keeps the store closed. */
  get #tables(): Tables {
    this.#mustBeOpen();
    return this.#store.tables;
  }

  /** Looks at the tables, at once or when the store is open again. */
  #look<T>(look: (tables: Tables) => T | Promise<T>): Promise<T> {
    return this.#store.read(() => look(this.#tables));
  }

  /** A watch must stand at once; while the store is being opened anew, what was published is the newest known. */
  #newestRevision(): Revision {
    this.#mustBeOpen();
    return this.#store.lookNow((tables) => readState(tables).revision) ?? this.#hub.revision;
  }

  /** Reads all at once if that is little, else in turns with others; then answers. */
  #read<T extends SlicedRead, R>(
    begin: (tables: Tables, state: State) => T,
    result: (begun: Begun<T>) => R,
  ): Promise<R> {
    return this.#look(() => {
      const begun = turns.begin(() => this.#begin(begin));
      return begun instanceof Promise || !begun.done ? this.#readAll(begun, result) : result(begun);
    });
  }

  async #readAll<T extends SlicedRead, R>(
    first: Begun<T> | Promise<Begun<T>>,
    result: (begun: Begun<T>) => R,
  ): Promise<R> {
    const begun = await first;
    if (!begun.done) {
      await this.#readOn(begun.read, begun.revision);
    }
    return result(begun);
  }

  /** The first slice: short, as it waits for nobody. */
  #begin<T extends SlicedRead>(begin: (tables: Tables, state: State) => T): Begun<T> {
    const tables = this.#tables;
    const state = readState(tables);
    const read = begin(tables, state);
    const done = read.slice(tables, newestOf(state), this.#timeUp(FIRST_READ_SLICE_MS));
    return { read, revision: state.revision, done };
  }

  /** Goes on in later turns, at the revision that the first slice saw, which is kept from compaction until then. */
  async #readOn(read: SlicedRead, revision: Revision): Promise<void> {
    const release = this.#compactor.pin(Math.min(read.oldest ?? revision, revision));
    try {
      let done = false;
      while (!done) {
        await turns.next();
        await this.#store.ready();
        done = read.slice(this.#tables, revision, this.#timeUp(READ_SLICE_MS));
      }
    } finally {
      release();
    }
  }

  #timeUp(afterMs: number): () => boolean {
    const deadline = this.#monotonic() + afterMs;
    return () => this.#monotonic() >= deadline;
  }
}
