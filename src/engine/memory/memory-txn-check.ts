import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_KEY_BYTES, MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import type { DeleteRangeRequest, KeyRange, Operation, PutRequest, Revision, TxnRequest } from "../model.ts";
import { inRange } from "./memory-history.ts";

/**
 * What can be said of a transaction without looking at the store. Errors: `invalidArgument`, `keyTooLong`,
 * `tooManyOperations`, `duplicateKey`.
 */
export function checkTxn(request: TxnRequest): void {
  checkLevel(request, MAX_TXN_OPERATIONS);
  checkDuplicates(request.success);
  checkDuplicates(request.failure);
}

/** As etcd counts: the widest list of a level is taken from what its nested transactions may hold. */
function checkLevel(request: TxnRequest, limit: number): void {
  const widest = Math.max(request.compares.length, request.success.length, request.failure.length);
  if (widest > limit) {
    throw new MusterError(
      "tooManyOperations",
      `split the transaction, "${widest}" operations are too many: ${limit} may stand at this level`,
    );
  }
  request.compares.forEach(checkKeys);
  for (const operation of [...request.success, ...request.failure]) {
    checkOperation(operation, limit - widest);
  }
}

function checkOperation(operation: Operation, nestedLimit: number): void {
  switch (operation.kind) {
    case "txn":
      checkLevel(operation.request, nestedLimit);
      break;
    case "put":
      checkPut(operation.request);
      break;
    case "range":
      checkKeys(operation.request);
      checkWhole(operation.request.revision);
      break;
    case "deleteRange":
      checkKeys(operation.request);
      break;
  }
}

/** A key must not be empty, except as the start of a range. Error: `invalidArgument`. */
export function checkKeys(range: KeyRange): void {
  if (range.key.length === 0 && range.end === undefined) {
    throw new MusterError("invalidArgument", 'give a key, not "": only the start of a range may be empty');
  }
}

/** A revision is a whole number, where it is given. Error: `invalidArgument`. */
export function checkWhole(revision: Revision | undefined): void {
  if (revision !== undefined && !Number.isSafeInteger(revision)) {
    throw new MusterError("invalidArgument", `give a whole number for a revision, not "${revision}"`);
  }
}

function checkPut(put: PutRequest): void {
  checkKeys({ key: put.key });
  if (put.key.length > MAX_KEY_BYTES) {
    throw new MusterError(
      "keyTooLong",
      `shorten the key of "${put.key.length}" bytes: the longest that the store holds has ${MAX_KEY_BYTES}`,
    );
  }
  if (put.ignoreValue === true && put.value.length > 0) {
    throw new MusterError("invalidArgument", "leave the value empty, or ignoreValue out: a put had both");
  }
  if (put.ignoreLease === true && put.lease !== undefined && put.lease !== 0n) {
    throw new MusterError("invalidArgument", "leave the lease out, or ignoreLease: a put had both");
  }
}

interface Writes {
  readonly puts: readonly Bytes[];
  readonly deletes: readonly DeleteRangeRequest[];
}

/**
 * Refuses a list of operations that may put one key twice, or put and delete it, and answers with what it may write.
 * As etcd does it: a deletion counts against the puts of its own level and of every level below, and against those of
 * the nested transactions after it, but two branches of one nested transaction do not count against each other.
 */
function checkDuplicates(operations: readonly Operation[]): Writes {
  const deletes = operations.flatMap((operation) => (operation.kind === "deleteRange" ? [operation.request] : []));
  const puts: Bytes[] = [];
  for (const operation of operations) {
    if (operation.kind === "txn") {
      const branches = [checkDuplicates(operation.request.success), checkDuplicates(operation.request.failure)];
      const before = [...puts];
      for (const key of branches.flatMap((branch) => branch.puts)) {
        checkFresh(key, { puts: before, deletes });
        puts.push(key);
      }
      deletes.push(...branches.flatMap((branch) => branch.deletes));
    }
  }
  for (const operation of operations) {
    if (operation.kind === "put") {
      checkFresh(operation.request.key, { puts, deletes });
      puts.push(operation.request.key);
    }
  }
  return { puts, deletes };
}

function checkFresh(key: Bytes, written: Writes): void {
  if (
    written.puts.some((other) => equalBytes(other, key)) ||
    written.deletes.some((deleted) => inRange(key, deleted))
  ) {
    throw new MusterError(
      "duplicateKey",
      `write each key once in a transaction, "${Buffer.from(key).toString()}": it is put twice, or put and deleted`,
    );
  }
}
