/** What is wrong with a request before any store is looked at, as etcd checks it (server/etcdserver/api/v3rpc/key.go). */
import type { Bytes } from "../base/bytes.ts";
import { MusterError } from "../base/errors.ts";
import { MAX_KEY_BYTES, MAX_TXN_OPERATIONS } from "../base/limits.ts";
import { covers } from "./key-range.ts";
import type { KeyRange, Operation, PutRequest, TxnRequest } from "./model.ts";

/**
 * Whether a transaction may be tried at all. Errors: `invalidArgument`, `tooManyOperations`, `keyTooLong`, `duplicateKey`.
 */
export function checkTxn(request: TxnRequest): void {
  checkLevel(request, MAX_TXN_OPERATIONS);
  // Both branches are checked, also the one that the compares will not choose: as in etcd.
  collectWrites(request.success);
  collectWrites(request.failure);
}

/** Whether the range names anything: only the start of a range may be empty. Error: `invalidArgument`. */
export function checkKeyRange(range: KeyRange): void {
  if (range.key.length === 0 && range.end === undefined) {
    throw new MusterError("invalidArgument", "Give a key: it is empty");
  }
}

/** Whether a transaction writes nothing, whichever branch is taken. */
export function isReadOnly(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].every(
    (operation) => operation.kind === "range" || (operation.kind === "txn" && isReadOnly(operation.request)),
  );
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
  for (const operation of [...request.success, ...request.failure]) {
    checkOperation(operation, limit - widest);
  }
}

function checkOperation(operation: Operation, nestedLimit: number): void {
  switch (operation.kind) {
    case "range":
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
  checkKeyRange({ key: put.key });
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

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

/**
 * The puts and deletes of one branch and all below it, as etcd's checkIntervals. A put meets the deletes of its own
 * level and of nested transactions before it; that a put and the delete of a later sibling pass is etcd's way too. But a
 * delete without an end counts here: etcd overlooks it, as its end is written "\0" (seen on 3.4.23).
 * Error: `duplicateKey`.
 */
function collectWrites(operations: readonly Operation[]): Writes {
  const puts = new Set<string>();
  const deletes: KeyRange[] = operations.flatMap((operation) =>
    operation.kind === "deleteRange" ? [operation.request] : [],
  );
  for (const operation of operations) {
    if (operation.kind === "txn") {
      mergeNested({ puts, deletes }, operation.request);
    }
  }
  for (const operation of operations) {
    if (operation.kind === "put") {
      addPut({ puts, deletes }, name(operation.request.key));
    }
  }
  return { puts, deletes };
}

function mergeNested(outer: Writes, request: TxnRequest): void {
  const success = collectWrites(request.success);
  const failure = collectWrites(request.failure);
  for (const key of success.puts) {
    addPut(outer, key);
  }
  for (const key of failure.puts) {
    // Only one of the two branches is applied: what both put is put once.
    if (!success.puts.has(key)) {
      addPut(outer, key);
    } else {
      refuseIfDeleted(outer, key);
    }
  }
  outer.deletes.push(...success.deletes, ...failure.deletes);
}

function addPut(writes: Writes, key: string): void {
  if (writes.puts.has(key)) {
    throw duplicate(key);
  }
  refuseIfDeleted(writes, key);
  writes.puts.add(key);
}

function refuseIfDeleted(writes: Writes, key: string): void {
  const bytes = Buffer.from(key, "latin1");
  if (writes.deletes.some((range) => covers(range, bytes))) {
    throw duplicate(key);
  }
}

/** Bytes as text one to one, so that they can be a Set's members. */
function name(key: Bytes): string {
  return Buffer.from(key).toString("latin1");
}

function duplicate(key: string): MusterError {
  const shown = Buffer.from(key, "latin1").toString("utf8");
  return new MusterError(
    "duplicateKey",
    `Write each key once in a transaction: "${shown}" is put twice, or put and deleted`,
  );
}
