/**
 * What an engine keeps and what it is asked: etcd v3's model, in readonly types of our own. Wire formats stop at the
 * faces; nothing here knows protobuf, HTTP or LMDB.
 */
import type { Bytes } from "../base/bytes.ts";

/** A revision: one for each write transaction that changed something, counted from 1 (an empty store) without a gap. */
export type Revision = number;

/** A lease's ID: a positive 63-bit number. 0 means "no lease". */
export type LeaseId = bigint;

export const NO_LEASE: LeaseId = 0n;

/** A key with its value, as it stood at some revision. */
export interface KeyValue {
  readonly key: Bytes;
  readonly value: Bytes;
  /** The revision that created the key (since it was last deleted). */
  readonly createRevision: Revision;
  /** The revision of the last change. */
  readonly modRevision: Revision;
  /** How many times it was put since it was created; 1 for a new key. */
  readonly version: number;
  readonly lease: LeaseId;
}

/**
 * Which keys: just `key` where `end` is absent, every key from `key` on where `end` is null, else key ≤ k < end
 * (nothing, if end ≤ key). A key is never empty, except as the start of a range.
 */
export interface KeyRange {
  readonly key: Bytes;
  readonly end?: Bytes | null;
}

export type SortTarget = "key" | "version" | "createRevision" | "modRevision" | "value";
export type SortOrder = "ascend" | "descend";

export interface RangeRequest extends KeyRange {
  /** At most so many keys, after filters and sort; absent or 0: all. */
  readonly limit?: number;
  /** Read the store as it stood at this revision; absent or 0: the newest. */
  readonly revision?: Revision;
  /** Absent: in key order (etcd: NONE, which is ascending by key). Equal targets keep key order, also when descending. */
  readonly sort?: { readonly target: SortTarget; readonly order: SortOrder };
  /**
   * Values come back empty, and leases as they are or as NO_LEASE: etcd 3.7 answers from its index, which has the
   * revisions and the version, but no lease. Whoever looks at a lease reads without this.
   */
  readonly keysOnly?: boolean;
  /** Only `count` is answered; `kvs` is empty and `more` false. */
  readonly countOnly?: boolean;
  /**
   * The caller does not look at `count`, which may then be anything: an engine that would walk the whole range to count
   * it may stop when it knows `kvs` and `more`. A hint, to which an engine need not listen.
   */
  readonly uncounted?: boolean;
  /** Bounds, inclusive. They filter `kvs`; they do not change `count` (etcd v3: count is of the range, unfiltered). */
  readonly minModRevision?: Revision;
  readonly maxModRevision?: Revision;
  readonly minCreateRevision?: Revision;
  readonly maxCreateRevision?: Revision;
}

export interface RangeResult {
  /** The store's newest revision when the range was read (not the revision that was asked for). */
  readonly revision: Revision;
  readonly kvs: readonly KeyValue[];
  /** Whether the limit left keys out. */
  readonly more: boolean;
  /** How many keys are in the range, whatever the limit. */
  readonly count: number;
}

export type CompareResult = "equal" | "notEqual" | "greater" | "less";

/**
 * One condition of a transaction. Over a range it must hold for every key in it. Over a key that does not exist, and
 * over a range without keys: version, revisions and lease are 0, and a compare of value fails, whatever its result.
 */
export type Compare = KeyRange & { readonly result: CompareResult } & (
    | { readonly target: "version" | "createRevision" | "modRevision"; readonly expected: number }
    | { readonly target: "lease"; readonly expected: LeaseId }
    | { readonly target: "value"; readonly expected: Bytes }
  );

export interface PutRequest {
  readonly key: Bytes;
  readonly value: Bytes;
  /** The lease the key hangs on from now; absent: none. */
  readonly lease?: LeaseId;
  /** Answer with the key-value as it was before. */
  readonly prevKv?: boolean;
  /** Keep the value there is (`value` must be empty); error keyNotFound without one. */
  readonly ignoreValue?: boolean;
  /** Keep the lease there is (`lease` must be absent); error keyNotFound without a key. */
  readonly ignoreLease?: boolean;
}

export interface DeleteRangeRequest extends KeyRange {
  /** Answer with the key-values that were deleted. */
  readonly prevKv?: boolean;
}

export type Operation =
  | { readonly kind: "range"; readonly request: RangeRequest }
  | { readonly kind: "put"; readonly request: PutRequest }
  | { readonly kind: "deleteRange"; readonly request: DeleteRangeRequest }
  | { readonly kind: "txn"; readonly request: TxnRequest };

/**
 * If all compares hold, `success` is applied, else `failure`, in order, atomically, in one revision. Compares of nested
 * transactions see the store as it was before the outermost one (etcd evaluates all of them first).
 */
export interface TxnRequest {
  readonly compares: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

export type OperationResult =
  | { readonly kind: "range"; readonly result: RangeResult }
  | { readonly kind: "put"; readonly prevKv: KeyValue | undefined }
  | { readonly kind: "deleteRange"; readonly deleted: number; readonly prevKvs: readonly KeyValue[] }
  | { readonly kind: "txn"; readonly succeeded: boolean; readonly results: readonly OperationResult[] };

export interface TxnResult {
  /** The store's revision after the transaction: a new one if it changed anything, else the newest there is. */
  readonly revision: Revision;
  readonly succeeded: boolean;
  readonly results: readonly OperationResult[];
}

/** A change to one key. */
export interface Event {
  readonly kind: "put" | "delete";
  /** For a delete only `key` and `modRevision` count; the rest is empty or 0 (as etcd's). */
  readonly kv: KeyValue;
  /** The key-value before, where it was asked for, there was one and it is not compacted. */
  readonly prevKv: KeyValue | undefined;
}

export interface WatchRequest extends KeyRange {
  /** Events from this revision on (inclusive); absent or 0: only those after the watch was made. May lie in the future. */
  readonly startRevision?: Revision;
  readonly prevKv?: boolean;
  readonly noPut?: boolean;
  readonly noDelete?: boolean;
}

export type WatchMessage =
  /** The changes of one revision, all of them, in the order of its operations. Revisions come in order. */
  | { readonly kind: "events"; readonly revision: Revision; readonly events: readonly Event[] }
  /** Answer to `requestProgress`: every event up to this revision has been delivered. */
  | { readonly kind: "progress"; readonly revision: Revision };

export interface LeaseGrant {
  readonly id: LeaseId;
  /** The time to live granted, in s: at least the one asked for. */
  readonly ttl: number;
}

export interface LeaseStatus {
  readonly id: LeaseId;
  readonly grantedTtl: number;
  /** Time left in whole s, rounded down as etcd's: 59 just after a grant of 60. */
  readonly ttl: number;
  /** Keys that hang on it, in key order; only where they were asked for. */
  readonly keys: readonly Bytes[];
}
