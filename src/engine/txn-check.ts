/** What is wrong with a request before any store is looked at, as etcd checks it (server/etcdserver/api/v3rpc/key.go). */
import { MusterError } from "../base/errors.ts";
import { MAX_KEY_BYTES, MAX_TXN_OPERATIONS } from "../base/limits.ts";
import type { KeyRange, Operation, PutRequest, RangeRequest, Revision, TxnRequest } from "./model.ts";
import { checkDuplicates } from "./txn-duplicates.ts";

/**
 * Whether a transaction may be tried at all. Errors: `invalidArgument`, `tooManyOperations`, `keyTooLong`, `duplicateKey`.
 */
export function checkTxn(request: TxnRequest): void {
  checkLevel(request, MAX_TXN_OPERATIONS);
  // Both branches are checked, also the one that the compares will not choose: as in etcd.
  checkDuplicates(request.success);
  checkDuplicates(request.failure);
}

/** Whether the range names anything: only the start of a range may be empty. Error: `invalidArgument`. */
export function checkKeyRange(range: KeyRange): void {
  if (range.key.length === 0 && range.end === undefined) {
    throw new MusterError("invalidArgument", "Give a key: it is empty");
  }
}

/** Whether the range can be read at all. Error: `invalidArgument`. */
export function checkRange(request: RangeRequest): void {
  checkKeyRange(request);
  checkWhole(request.revision ?? 0);
}

/** Whether this can be a revision: one that is not whole would compare with others in ways that nobody means. Error: `invalidArgument`. */
export function checkWhole(revision: Revision): void {
  if (!Number.isSafeInteger(revision)) {
    throw new MusterError("invalidArgument", `Give a whole number for a revision: "${revision}" is none`);
  }
}

/** Whether a transaction writes nothing, whichever branch is taken. */
export function isReadOnly(request: TxnRequest): boolean {
  return request.success.every(onlyReads) && request.failure.every(onlyReads);
}

function onlyReads(operation: Operation): boolean {
  return operation.kind === "range" || (operation.kind === "txn" && isReadOnly(operation.request));
}

/** Nested levels share what the level above left of the limit, so a request's depth is bounded too. */
function checkLevel(request: TxnRequest, limit: number): void {
  const widest = Math.max(request.compares.length, request.success.length, request.failure.length);
  if (widest > limit) {
    throw new MusterError(
      "tooManyOperations",
      `Split the transaction: it has ${widest} compares or operations at one level, where ${limit} are allowed`,
    );
  }
  for (const compare of request.compares) {
    checkKeyRange(compare);
  }
  for (const operation of request.success) {
    checkOperation(operation, limit - widest);
  }
  for (const operation of request.failure) {
    checkOperation(operation, limit - widest);
  }
}

function checkOperation(operation: Operation, nestedLimit: number): void {
  switch (operation.kind) {
    case "range":
      checkRange(operation.request);
      break;
    case "deleteRange":
      checkKeyRange(operation.request);
      break;
    case "put":
      checkPut(operation.request);
      break;
    case "txn":
      checkLevel(operation.request, nestedLimit);
      break;
  }
}

function checkPut(put: PutRequest): void {
  checkKeyRange(put);
  if (put.key.length > MAX_KEY_BYTES) {
    throw new MusterError(
      "keyTooLong",
      `Use a shorter key: it has ${put.key.length} bytes, the store holds at most ${MAX_KEY_BYTES}`,
    );
  }
  if (put.ignoreValue === true && put.value.length > 0) {
    throw new MusterError("invalidArgument", "Leave the value empty or ignoreValue out: both are given");
  }
  if (put.ignoreLease === true && (put.lease ?? 0n) !== 0n) {
    throw new MusterError(
      "invalidArgument",
      `Leave the lease or ignoreLease out: both are given, lease "${put.lease}"`,
    );
  }
}
