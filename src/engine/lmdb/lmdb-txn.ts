/**
 * A transaction, as etcd's applier does it (server/etcdserver/apply.go): all compares first, nested ones too; then
 * everything that could be refused; then the operations in order. All of it is done in slices, so that none holds the
 * event loop for long, however many keys it compares, reads or deletes.
 */
import { packed } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import {
  type DeleteRangeRequest,
  type KeyValue,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutRequest,
  type TxnRequest,
  type TxnResult,
} from "../model.ts";
import { type Choice, choose, chooseAtOnce, chosen, isOneKey, isQuick } from "./lmdb-compare.ts";
import type { Draft } from "./lmdb-draft.ts";
import { RangeRead, readRange } from "./lmdb-range.ts";
import { checkRevision, leaseNotFound } from "./lmdb-refusals.ts";
import { decodeVersion, leaseIn, valueIn } from "./lmdb-schema.ts";
import { boundsOf, readVersion, walk } from "./lmdb-snapshot.ts";
import { unitsOf } from "./lmdb-view.ts";
import type { Work } from "./lmdb-work.ts";

/** Whether a transaction is short, and so is done at once: it looks at single keys only, and has no other transaction in it. */
export function isShort({ compares, success, failure }: TxnRequest): boolean {
  return compares.every(isQuick) && success.every(isShortOperation) && failure.every(isShortOperation);
}

function isShortOperation({ kind, request }: Operation): boolean {
  return kind === "put" || (kind !== "txn" && isOneKey(request));
}

/** As `applyTxn`, for a transaction that is short: which nearly all are. */
export function applyShortTxn(draft: Draft, request: TxnRequest): TxnResult {
  const choice = chooseAtOnce(draft, request);
  if (choice === undefined) {
    throw new MusterError("internal", "Report this defect: a transaction is not as short as it looked");
  }
  checkChosen(draft, choice);
  const results = choice.operations.map((operation) => applyShort(draft, operation));
  return { revision: draft.finish(), succeeded: choice.succeeded, results };
}

/**
 * Applies a transaction that passed checkTxn. It throws before it has written anything. Errors: `keyNotFound`,
 * `leaseNotFound`, `compacted`, `futureRevision`.
 */
export function* applyTxn(draft: Draft, request: TxnRequest): Work<TxnResult> {
  const choice = yield* choose(draft, request);
  checkChosen(draft, choice);
  const results = yield* apply(draft, choice);
  return { revision: draft.finish(), succeeded: choice.succeeded, results };
}

/**
 * Whether the operations that were chosen can be done, one after the other, as etcd 3.7 looks at them. As no key is
 * put and deleted in one transaction (checkTxn), what a put finds now it finds when its turn comes.
 */
function checkChosen(draft: Draft, choice: Choice): void {
  for (const operation of choice.operations) {
    if (operation.kind === "put") {
      checkPut(draft, operation.request);
    } else if (operation.kind === "range" && (operation.request.revision ?? 0) !== 0) {
      checkRevision(operation.request.revision ?? 0, draft);
    } else if (operation.kind === "txn") {
      checkChosen(draft, chosen(choice, operation));
    }
  }
}

function checkPut(draft: Draft, put: PutRequest): void {
  const lease = put.lease ?? NO_LEASE;
  if (lease !== NO_LEASE && !draft.hasLease(lease)) {
    throw leaseNotFound(lease);
  }
  const keeps = put.ignoreValue === true || put.ignoreLease === true;
  if (keeps && readVersion(draft.tables, put.key, "newest") === undefined) {
    const key = Buffer.from(put.key).toString();
    throw new MusterError("keyNotFound", `Put a value and a lease: there is no key "${key}" to keep them from`);
  }
}

function applyShort(draft: Draft, operation: Operation): OperationResult {
  switch (operation.kind) {
    case "put":
      return put(draft, operation.request);
    case "deleteRange":
      return deleteOne(draft, operation.request);
    case "range": {
      const read = new RangeRead(operation.request);
      read.slice(draft.tables, draft.moment, () => false);
      return { kind: "range", result: read.result(draft.currentRevision) };
    }
    case "txn":
      throw new MusterError("internal", "Report this defect: a short transaction has another one in it");
  }
}

function* apply(draft: Draft, choice: Choice): Work<OperationResult[]> {
  const results: OperationResult[] = [];
  for (const operation of choice.operations) {
    results.push(operation.kind === "put" ? put(draft, operation.request) : yield* applyLong(draft, choice, operation));
    if (draft.isOver()) {
      yield;
    }
  }
  return results;
}

function* applyLong(
  draft: Draft,
  choice: Choice,
  operation: Exclude<Operation, { readonly kind: "put" }>,
): Work<OperationResult> {
  switch (operation.kind) {
    case "range":
      return { kind: "range", result: yield* readRange(draft, operation.request, draft.currentRevision) };
    case "deleteRange":
      return operation.request.end === undefined
        ? deleteOne(draft, operation.request)
        : yield* deleteRange(draft, operation.request);
    case "txn": {
      const nested = chosen(choice, operation);
      return { kind: "txn", succeeded: nested.succeeded, results: yield* apply(draft, nested) };
    }
  }
}

function put(draft: Draft, request: PutRequest): OperationResult {
  // One copy for all that keep it: the caller may change his when the call is done.
  const key = packed(request.key);
  const old = readVersion(draft.tables, key, "newest");
  draft.put(
    {
      key,
      value: request.ignoreValue === true && old !== undefined ? valueIn(old) : request.value,
      lease: request.ignoreLease === true && old !== undefined ? leaseIn(old) : (request.lease ?? NO_LEASE),
    },
    old,
  );
  return { kind: "put", prevKv: request.prevKv === true && old !== undefined ? decodeVersion(key, old) : undefined };
}

function deleteOne(draft: Draft, request: DeleteRangeRequest): OperationResult {
  const key = packed(request.key);
  const old = readVersion(draft.tables, key, "newest");
  if (old === undefined) {
    return { kind: "deleteRange", deleted: 0, prevKvs: [] };
  }
  draft.delete(key, old);
  return { kind: "deleteRange", deleted: 1, prevKvs: request.prevKv === true ? [decodeVersion(key, old)] : [] };
}

function* deleteRange(draft: Draft, request: DeleteRangeRequest): Work<OperationResult> {
  const prevKvs: KeyValue[] = [];
  let deleted = 0;
  for (let after: Buffer | undefined, goesOn = true; goesOn; ) {
    // Collected first: LMDB's cursors do not like what they walk over to change.
    const { doomed, units } = firstOf(draft, request, after);
    for (const { key, record } of doomed) {
      draft.delete(key, record);
      if (request.prevKv === true) {
        prevKvs.push(decodeVersion(key, record));
      }
    }
    deleted += doomed.length;
    after = doomed.at(-1)?.key;
    goesOn = units >= draft.slice.unitsPerLook;
    if (goesOn && draft.isOver(units)) {
      yield;
    }
  }
  return { kind: "deleteRange", deleted, prevKvs };
}

interface First {
  readonly doomed: readonly { readonly key: Buffer; readonly record: Buffer }[];
  /** The work of reading them; where it is worth a look at the clock, there may be more. */
  readonly units: number;
}

/** The first keys of a range that come after one. */
function firstOf(draft: Draft, request: DeleteRangeRequest, after: Buffer | undefined): First {
  const doomed: { readonly key: Buffer; readonly record: Buffer }[] = [];
  let units = 0;
  for (const { key, record } of walk(draft.tables, boundsOf(request, after), "newest")) {
    if (record !== undefined) {
      doomed.push({ key, record });
    }
    units += unitsOf(record);
    if (units >= draft.slice.unitsPerLook) {
      break;
    }
  }
  return { doomed, units };
}
