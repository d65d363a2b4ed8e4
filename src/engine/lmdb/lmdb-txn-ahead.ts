/** A transaction that is worked out ahead of LMDB: on single keys, as nearly all are. What others do: lmdb-txn.ts. */
import { NO_BYTES } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { keyName } from "../key-name.ts";
import {
  type Compare,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutRequest,
  type RangeRequest,
  type TxnRequest,
  type TxnResult,
} from "../model.ts";
import type { AheadGroup, FoundKey } from "./lmdb-ahead-group.ts";
import { holdsForOne, isOneKey, isQuick } from "./lmdb-compare.ts";
import { keyNotFound, leaseNotFound } from "./lmdb-refusals.ts";
import { decodeVersion, leaseIn, valueIn } from "./lmdb-schema.ts";

/** Whether a transaction can be worked out ahead: it looks at single keys as they are now, and has no other in it. */
export function canGoAhead({ compares, success, failure }: TxnRequest): boolean {
  return compares.every(isQuick) && success.every(isPlain) && failure.every(isPlain);
}

function isPlain({ kind, request }: Operation): boolean {
  return kind === "put" || (kind === "deleteRange" && isOneKey(request)) || (kind === "range" && isPlainRange(request));
}

function isPlainRange(range: RangeRequest): boolean {
  const asked = [range.revision, range.minModRevision, range.maxModRevision];
  const bounds = [...asked, range.minCreateRevision, range.maxCreateRevision];
  return isOneKey(range) && bounds.every((bound) => bound === undefined || bound === 0);
}

/**
 * Applies a transaction that passed checkTxn. Whatever it throws, nothing of it is in the group. Errors: `keyNotFound`,
 * `leaseNotFound`, and what the system says where LMDB cannot be read.
 */
export function applyAhead(group: AheadGroup, { compares, success, failure }: TxnRequest): TxnResult {
  const succeeded = compares.every((compare) => holds(group, compare));
  const operations = succeeded ? success : failure;
  // All is read and checked before anything is written.
  const found = operations.map((operation) => find(group, operation));
  const results: OperationResult[] = [];
  for (const [place, operation] of operations.entries()) {
    const key = found[place];
    if (key !== undefined) {
      results.push(apply(group, operation, key));
    }
  }
  return { revision: group.finish(), succeeded, results };
}

function holds({ overlay }: AheadGroup, compare: Compare): boolean {
  if (compare.end !== undefined) {
    return overlay.isEmpty(compare);
  }
  const { key } = compare;
  const own = Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.length);
  return holdsForOne(compare, overlay.record(keyName(own), own));
}

function find(group: AheadGroup, { kind, request }: Operation): FoundKey {
  if (kind === "txn") {
    throw nested();
  }
  // One copy for all that keep it: the caller may change his when the call is done.
  const key = Buffer.from(request.key);
  const name = keyName(key);
  const old = group.overlay.record(name, key);
  if (kind === "put") {
    checkPut(group, request, old);
  }
  return { key, name, old };
}

function checkPut(group: AheadGroup, put: PutRequest, old: Buffer | undefined): void {
  const lease = put.lease ?? NO_LEASE;
  if (lease !== NO_LEASE && !group.hasLease(lease)) {
    throw leaseNotFound(lease);
  }
  if (old === undefined && (put.ignoreValue === true || put.ignoreLease === true)) {
    throw keyNotFound(put.key);
  }
}

function apply(group: AheadGroup, operation: Operation, found: FoundKey): OperationResult {
  switch (operation.kind) {
    case "put":
      return put(group, operation.request, found);
    case "deleteRange": {
      const old = recordNow(group, found);
      if (old === undefined) {
        return { kind: "deleteRange", deleted: 0, prevKvs: [] };
      }
      group.delete(found, old);
      const prevKvs = operation.request.prevKv === true ? [decodeVersion(found.key, old)] : [];
      return { kind: "deleteRange", deleted: 1, prevKvs };
    }
    case "range":
      return range(group, operation.request, found);
    case "txn":
      throw nested();
  }
}

/** A key is put at most once in a transaction, and then not deleted: so what was found is what is replaced. */
function put(group: AheadGroup, request: PutRequest, found: FoundKey): OperationResult {
  const { key, old } = found;
  group.put(found, {
    value: request.ignoreValue === true && old !== undefined ? valueIn(old) : request.value,
    lease: request.ignoreLease === true && old !== undefined ? leaseIn(old) : (request.lease ?? NO_LEASE),
  });
  return { kind: "put", prevKv: request.prevKv === true && old !== undefined ? decodeVersion(key, old) : undefined };
}

function range(group: AheadGroup, { keysOnly, countOnly }: RangeRequest, found: FoundKey): OperationResult {
  const record = recordNow(group, found);
  const revision = group.currentRevision;
  if (record === undefined || countOnly === true) {
    return { kind: "range", result: { revision, kvs: [], more: false, count: record === undefined ? 0 : 1 } };
  }
  const kv = decodeVersion(found.key, record);
  const kvs = [keysOnly === true ? { ...kv, value: NO_BYTES } : kv];
  return { kind: "range", result: { revision, kvs, more: false, count: 1 } };
}

/** What the operations before it in the same transaction made of a key. */
function recordNow(group: AheadGroup, { name, old }: FoundKey): Buffer | undefined {
  const planned = group.layer.get(name);
  return planned === undefined ? old : planned.record;
}

function nested(): MusterError {
  return new MusterError("internal", "Report this defect: a transaction that goes ahead has another one in it");
}
