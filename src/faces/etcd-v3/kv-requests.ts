/**
 * What KV requests ask for, in the model's terms. What is wrong with one is found in the order in which etcd looks
 * (server/etcdserver/api/v3rpc/key.go), as a request with two faults is told of the first.
 */
import { NO_BYTES } from "../../base/bytes.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import type {
  Compare,
  CompareResult,
  DeleteRangeRequest,
  KeyRange,
  Operation,
  RangeRequest,
  SortOrder,
  SortTarget,
  TxnRequest,
} from "../../engine/model.ts";
import type * as wire from "../../proto/etcdserverpb.ts";
import { etcdError } from "./errors.ts";

const SORT_ORDERS: readonly (SortOrder | undefined)[] = [undefined, "ascend", "descend"];
const SORT_TARGETS: readonly SortTarget[] = ["key", "version", "createRevision", "modRevision", "value"];

/** What etcd adds to a request before it looks how large it is: a header with an ID, and the kind of the request. */
const RAFT_ENVELOPE_BYTES = 18;

/** Error: etcd's for a write that came in more bytes than are allowed. */
export function mustFit(requestBytes: number, maxRequestBytes: number): void {
  if (requestBytes + RAFT_ENVELOPE_BYTES > maxRequestBytes) throw etcdError("requestTooLarge");
}

/** The keys that a request names: an end of one byte 0 means all from the key on. */
export function keyRange(key: Uint8Array, end: Uint8Array): KeyRange {
  if (end.length === 0) return { key };
  return { key, end: end.length === 1 && end[0] === 0 ? null : end };
}

/** What a range is sorted by, if by anything. */
export function sortOf({ sortOrder, sortTarget }: wire.RangeRequest): RangeRequest["sort"] {
  const target = SORT_TARGETS[sortTarget] ?? "key";
  const order = SORT_ORDERS[sortOrder];
  if (order === undefined && target === "key") return undefined;
  return { target, order: order ?? "ascend" };
}

/**
 * Whether the limit is applied before the sort: to etcd a range without an order is in the order of keys, whatever it is
 * to be sorted by, and only what it read so far is sorted then.
 */
export function isSortedAfterLimit(request: wire.RangeRequest): boolean {
  return request.sortOrder === 0 && request.sortTarget !== 0 && request.limit > 0 && !hasBounds(request);
}

export function readRange(request: wire.RangeRequest): RangeRequest {
  checkRange(request);
  const { limit, revision, keysOnly, countOnly } = request;
  // Nothing else matters to a single key but whether it passes the bounds.
  if (request.rangeEnd.length === 0 && !hasBounds(request)) {
    return { key: request.key, limit, revision, keysOnly, countOnly };
  }
  const isLimitedFirst = isSortedAfterLimit(request);
  const sort = isLimitedFirst ? undefined : sortOf(request);
  return {
    ...keyRange(request.key, request.rangeEnd),
    limit: isLimitedFirst ? limit + 1 : limit,
    revision,
    // Values are dropped after the sort.
    keysOnly: keysOnly && !isLimitedFirst,
    countOnly,
    minModRevision: request.minModRevision,
    maxModRevision: request.maxModRevision,
    minCreateRevision: request.minCreateRevision,
    maxCreateRevision: request.maxCreateRevision,
    ...(sort === undefined ? {} : { sort }),
  };
}

/** Whether bounds of revisions decide which keys are answered. */
export function hasBounds(request: wire.RangeRequest): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

/** Errors: etcd's for a range that cannot be. */
export function checkRange({ key, sortOrder, sortTarget }: wire.RangeRequest): void {
  if (key.length === 0) throw etcdError("emptyKey");
  if (!(sortOrder in SORT_ORDERS) || !(sortTarget in SORT_TARGETS)) throw etcdError("invalidSortOption");
}

/** Errors: etcd's for a put that cannot be. The message is the model's request as it is. */
export function checkPut({ key, value, lease, ignoreValue, ignoreLease }: wire.PutRequest): void {
  if (key.length === 0) throw etcdError("emptyKey");
  if (ignoreValue && value.length > 0) throw etcdError("valueProvided");
  if (ignoreLease && lease !== 0n) throw etcdError("leaseProvided");
}

export function readDeleteRange({ key, rangeEnd, prevKv }: wire.DeleteRangeRequest): DeleteRangeRequest {
  if (key.length === 0) throw etcdError("emptyKey");
  return { ...keyRange(key, rangeEnd), prevKv };
}

/** Nested levels share what the level above left of the limit. */
export function readTxn(request: wire.TxnRequest, limit = MAX_TXN_OPERATIONS): TxnRequest {
  const widest = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (widest > limit) throw etcdError("tooManyOps");
  const compares: Compare[] = [];
  for (const compare of request.compare) {
    if (compare.key.length === 0) throw etcdError("emptyKey");
    const read = readCompare(compare);
    if (read !== "holds") compares.push(read);
  }
  const nested = limit - widest;
  return {
    compares,
    success: request.success.map((operation) => readOperation(operation, nested)),
    failure: request.failure.map((operation) => readOperation(operation, nested)),
  };
}

function readOperation({ request }: wire.RequestOp, limit: number): Operation {
  switch (request?.$case) {
    case "requestRange":
      return { kind: "range", request: readRange(request.value) };
    case "requestPut":
      checkPut(request.value);
      return { kind: "put", request: request.value };
    case "requestDeleteRange":
      return { kind: "deleteRange", request: readDeleteRange(request.value) };
    case "requestTxn":
      return { kind: "txn", request: readTxn(request.value, limit) };
    case undefined:
      throw etcdError("keyNotFound");
  }
}

const COMPARE_RESULTS: readonly CompareResult[] = ["equal", "greater", "less", "notEqual"];
const COMPARE_TARGETS = ["version", "createRevision", "modRevision", "value", "lease"] as const;

/** A compare that never holds: of the value of nothing. */
const NEVER: Compare = { key: NO_BYTES, end: NO_BYTES, target: "value", result: "equal", expected: NO_BYTES };

/** What it is compared with is 0 where it was given as another kind than the target's. Unknown enums are read as etcd does. */
function readCompare(compare: wire.Compare): Compare | "holds" {
  const where = keyRange(compare.key, compare.rangeEnd);
  const { targetUnion } = compare;
  const target = COMPARE_TARGETS[compare.target];
  const result = COMPARE_RESULTS[compare.result];
  if (result === undefined) {
    // Whatever comes of it is right; but a value that is not there never is.
    return target === "value" ? { ...where, target: "version", result: "greater", expected: 0 } : "holds";
  }
  switch (target) {
    case "value":
      return { ...where, result, target, expected: targetUnion?.$case === "value" ? targetUnion.value : NO_BYTES };
    case "lease":
      return { ...where, result, target, expected: targetUnion?.$case === "lease" ? targetUnion.value : 0n };
    case undefined:
      return result === "equal" ? "holds" : NEVER;
    default:
      return { ...where, result, target, expected: targetUnion?.$case === target ? targetUnion.value : 0 };
  }
}
