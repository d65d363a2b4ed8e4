/**
 * The contract that everything above stands on: etcd v3's MVCC semantics. Two implementations serve Muster (lmdb now,
 * a remote etcd later); test/contract/ holds them, the in-memory reference and a real etcd to every sentence here.
 * Where an implementation and etcd differ, etcd is right.
 *
 * Errors are MusterErrors. Any call may reject with `closed`, and one that writes with `storeUnavailable` (then the
 * outcome is: not applied); so may one that reads, and a watch that is behind, while the store cannot even be opened. A
 * write to a remote store may reject with `outcomeUnknown`: it was applied, or was not, or will be shortly; whoever
 * writes again must be sure that this does no harm. Results, and the bytes in them, are read only: they may be shared, as events are by all
 * watches that are told of them. Arguments must not be changed until the call is done.
 */
import type { Bytes } from "../base/bytes.ts";
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
} from "./model.ts";

export interface Engine {
  /**
   * Whether the store belongs to others too: then revisions have gaps, others may compact it at any time, `compact` is
   * refused with `sharedStore`, and only leases granted through Muster exist for callers. Absent: it does not.
   */
  readonly isShared?: boolean;

  /**
   * Reads keys. What it answers is durable: no crash takes it back. A range always reads one moment of the store.
   * Errors: `compacted`, `futureRevision`, `invalidArgument`.
   */
  range(request: RangeRequest): Promise<RangeResult>;

  /**
   * Applies a transaction; resolved means synced to disk. It makes a new revision only if it put or deleted something
   * (a put of the same value counts, a delete of nothing does not). Its ranges see what the operations before them did. Every change of one revision has its own place in
   * the order of operations. A transaction that only reads may carry ranges at past revisions.
   *
   * Refused before anything is written: `duplicateKey` (one key put twice, or put and deleted, on one path through the
   * transaction; as etcd has it, a deletion in a nested transaction may follow a put in an earlier sibling of that
   * nested transaction, and then both happen in this revision), `tooManyOperations` (more than MAX_TXN_OPERATIONS
   * compares or operations at one level; a nested transaction has what the longest list around it leaves),
   * `keyTooLong`, `keyNotFound`, `leaseNotFound`, `compacted`, `futureRevision`, `invalidArgument`.
   * Keys and leases that must exist, and revisions to read at, matter only on the path that is taken, and the first that
   * is missing is told: in the order of the operations, and of a put its lease before its key (as etcd since 3.7).
   */
  txn(request: TxnRequest): Promise<TxnResult>;

  /**
   * Starts a watch. The watch stands when this returns: with no start revision, every change made after this call is
   * delivered, in order, once. Events are delivered only when they are durable. A reader that is behind costs bounded
   * memory (it is served from history) and loses nothing. The iteration throws `compacted` (details.compactRevision)
   * where history from its revision on is gone. `close()` ends the iteration.
   */
  watch(request: WatchRequest): Watch;

  /**
   * Forgets history before `revision`: ranges below it and watches from below it are then `compacted`; the state at
   * `revision`, and events from it on, stay. Resolved means the mark is durable; space is freed in the background, and
   * with `physical` has been freed as well.
   * Errors: `compacted` (revision ≤ the last one), `futureRevision` (beyond the newest), `invalidArgument` (not whole).
   */
  compact(revision: Revision, options?: { readonly physical?: boolean }): Promise<void>;

  /**
   * The store's newest revision and the one it is compacted to (0: never), at one moment. Where others can compact the
   * store the latter may be some seconds old, and is then too low, never too high; reads and watches are exact.
   */
  status(): Promise<EngineStatus>;

  /** What the store takes on disk. Only engines that keep it themselves can tell. */
  diskUse?(): Promise<DiskUse>;

  /**
   * A copy of the whole store as it stands now, as bytes that a store can be restored from: internal keys, history and
   * leases too. Only engines that keep it themselves have one. Error: `storeUnavailable`, also where the disk has no
   * room for the copy.
   */
  snapshot?(): Promise<Snapshot>;

  /**
   * Makes the store's file as small as what is in it. Writes wait until that is done, reads go on, watches and leases
   * notice nothing. Whoever asks while it goes on is answered when it is done. Only engines that keep a file themselves
   * have it. Error: `storeUnavailable`, also where the disk has no room for a copy of what is in the store; nothing is
   * lost then.
   */
  defragment?(): Promise<void>;

  /**
   * Makes a lease. `ttl` in s; it may be raised to the engine's least. id 0: one is chosen.
   * Errors: `leaseExists`, `leaseTtlTooLarge` (beyond MAX_LEASE_TTL_S).
   */
  grantLease(request: { readonly id: LeaseId; readonly ttl: number }): Promise<LeaseGrant>;

  /** Ends a lease and deletes its keys in one revision (none if it has no keys). Error: `leaseNotFound`. */
  revokeLease(id: LeaseId): Promise<{ readonly revision: Revision }>;

  /** Gives a lease its full time again; the time in s. Error: `leaseNotFound`. */
  keepLeaseAlive(id: LeaseId): Promise<number>;

  /** Error: `leaseNotFound`. */
  leaseStatus(id: LeaseId, options: { readonly keys: boolean }): Promise<LeaseStatus>;

  /** The IDs of all leases, in rising order. */
  leases(): Promise<readonly LeaseId[]>;

  /**
   * Proves that the store can write durably now, without moving the revision. Rejects with `storeUnavailable` and the
   * reason. Costs a sync: callers share one at a time.
   */
  probe(): Promise<void>;

  /** The servers that a remote store has, and which of them is asked. Only engines over a network can tell. */
  endpoints?(): readonly StoreEndpoint[];

  /** Ends watches (their iteration stops), waits for writes under way, frees everything. May be called twice. */
  close(): Promise<void>;
}

export interface EngineStatus {
  readonly revision: Revision;
  readonly compactRevision: Revision;
}

/** A server of a remote store. */
export interface StoreEndpoint {
  /** As it was configured: `h1:2379`. */
  readonly name: string;
  /** Whether calls go there now. */
  readonly inUse: boolean;
  /** Why the last call there failed; absent where it did not, or there was none. */
  readonly problem?: string;
}

/** A copy of a store, kept until it is closed. */
export interface Snapshot {
  /** How many bytes there are to read. */
  readonly size: number;
  /** Reads all of it, once. Error: `storeUnavailable`. */
  read(): AsyncIterable<Bytes>;
  /** Gives its disk space back. May be called twice, and while it is being read. */
  close(): Promise<void>;
}

/** Bytes on disk. */
export interface DiskUse {
  /** The store's file, with what is free in it. */
  readonly fileBytes: number;
  /** What lives now: the newest version of each key, and leases. */
  readonly liveBytes: number;
  /** History: everything that a compaction to the newest revision would free. */
  readonly historyBytes: number;
  /** The oldest revision that takes part in `historyBytes`: before the compacted one, while that is being freed. */
  readonly oldestRevision: Revision;
}

/** A running watch: iterate it once. Leaving the loop, or `close()`, ends it. */
export interface Watch extends AsyncIterable<WatchMessage> {
  /** The store's revision when the watch was made: with no start revision, events come from the next one on. */
  readonly createdRevision: Promise<Revision>;
  /** Asks for a progress message as soon as everything up to now has been delivered. */
  requestProgress(): void;
  /**
   * Takes the next message out of turn, if one is at hand and tells events: so that what came together can be told
   * together. Progress comes by the iteration alone. Only watches that keep messages have it; undefined does not say that
   * the iteration would wait.
   */
  ready?(): WatchMessage | undefined;
  close(): void;
}
