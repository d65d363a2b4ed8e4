/**
 * A transaction, as etcd's applier does it (server/etcdserver/apply.go): all compares first, nested ones too; then
 * everything that could be refused; then the operations in order.
 *
 * One that writes is one turn of the event loop from its first compare to its last operation, as LMDB lets nobody else
 * write meanwhile: its ranges, a deletion of a very large range and the end of a lease with very many keys hold others
 * up (docs/decisions/0002-lmdb.md has numbers). So do a transaction's compares over a very large range, always.
 */
import { MusterError } from "../../base/errors.ts";
import {
  type DeleteRangeRequest,
  type LeaseId,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutRequest,
  type Revision,
  type TxnRequest,
  type TxnResult,
} from "../model.ts";
import { type Choice, choose, chosen } from "./lmdb-compare.ts";
import type { Draft } from "./lmdb-draft.ts";
import type { Tables } from "./lmdb-open.ts";
import { RangeRead, readRange, type SlicedRead, type TimeUp } from "./lmdb-range.ts";
import type { State } from "./lmdb-schema.ts";
import { keyValues, type Moment, readKey } from "./lmdb-snapshot.ts";

/**
 * Applies a transaction that passed checkTxn. It throws before it has written anything. Errors: `keyNotFound`,
 * `leaseNotFound`, `compacted`, `futureRevision`.
 */
export function applyTxn(draft: Draft, request: TxnRequest): TxnResult {
  const choice = choose(draft.tables, request);
  checkPuts(draft, choice);
  checkRanges(draft, choice);
  const results = apply(draft, choice);
  return { revision: draft.finish(), succeeded: choice.succeeded, results };
}

/**
 * A transaction that has no writes. Its compares are made when it is made, in one turn; its ranges are read in slices.
 * Errors: `compacted`, `futureRevision`.
 */
export class TxnRead implements SlicedRead {
  readonly oldest: Revision | undefined;
  readonly #revision: Revision;
  readonly #choice: Choice;
  /** All ranges of the branches that are taken, in the order of their operations. */
  readonly #reads: RangeRead[] = [];
  #done = 0;

  constructor(tables: Tables, state: State, request: TxnRequest) {
    this.#revision = state.revision;
    this.#choice = choose(tables, request);
    checkRanges(state, this.#choice);
    this.#gather(this.#choice);
    const asked = this.#reads.flatMap(({ oldest }) => (oldest === undefined ? [] : [oldest]));
    this.oldest = asked.length === 0 ? undefined : asked.reduce((a, b) => Math.min(a, b));
  }

  slice(tables: Tables, newest: Moment, timeUp: TimeUp): boolean {
    for (let read = this.#reads[this.#done]; read !== undefined; read = this.#reads[this.#done]) {
      if (!read.slice(tables, newest, timeUp)) {
        return false;
      }
      this.#done++;
      if (this.#done < this.#reads.length && timeUp()) {
        return false;
      }
    }
    return true;
  }

  /** What was read, when all is. */
  result(): TxnResult {
    const results = this.#results(this.#choice, this.#reads.values());
    return { revision: this.#revision, succeeded: this.#choice.succeeded, results };
  }

  #gather(choice: Choice): void {
    for (const operation of choice.operations) {
      if (operation.kind === "range") {
        this.#reads.push(new RangeRead(operation.request));
      } else {
        this.#gather(chosen(choice, operation));
      }
    }
  }

  #results(choice: Choice, reads: Iterator<RangeRead, undefined>): OperationResult[] {
    return choice.operations.map((operation) => {
      if (operation.kind !== "range") {
        const nested = chosen(choice, operation);
        return { kind: "txn", succeeded: nested.succeeded, results: this.#results(nested, reads) };
      }
      const { value: read } = reads.next();
      if (read === undefined) {
        throw new MusterError("internal", "Report this defect: a range of a transaction was not read");
      }
      return { kind: "range", result: read.result(this.#revision) };
    });
  }
}

/** The revision that a range asks for, checked. Errors: `compacted` (details.compactRevision), `futureRevision`. */
export function checkRevision(asked: Revision, state: State): void {
  if (asked > state.revision) {
    throw new MusterError(
      "futureRevision",
      `Ask for a revision that has happened: "${asked}" is beyond ${state.revision}`,
      {
        details: { revision: state.revision },
      },
    );
  }
  if (asked < state.compactRevision) {
    throw compacted(asked, state.compactRevision);
  }
}

/** The error for a revision that is forgotten. */
export function compacted(asked: Revision, compactRevision: Revision): MusterError {
  return new MusterError(
    "compacted",
    `Ask for a later revision: "${asked}" is forgotten, the store is compacted to ${compactRevision}`,
    { details: { compactRevision } },
  );
}

/** As no key is put and deleted in one transaction (checkTxn), what a put finds now it finds when its turn comes. */
function checkPuts(draft: Draft, choice: Choice): void {
  for (const operation of choice.operations) {
    if (operation.kind === "put") {
      checkPut(draft, operation.request);
    } else if (operation.kind === "txn") {
      checkPuts(draft, chosen(choice, operation));
    }
  }
}

function checkPut(draft: Draft, put: PutRequest): void {
  const keeps = put.ignoreValue === true || put.ignoreLease === true;
  if (keeps && readKey(draft.tables, put.key, "newest") === undefined) {
    const key = Buffer.from(put.key).toString();
    throw new MusterError("keyNotFound", `Put a value and a lease: there is no key "${key}" to keep them from`);
  }
  const lease = put.lease ?? NO_LEASE;
  if (lease !== NO_LEASE && !draft.hasLease(lease)) {
    throw leaseNotFound(lease);
  }
}

/** The error for a lease that is unknown or has ended. */
export function leaseNotFound(id: LeaseId): MusterError {
  return new MusterError("leaseNotFound", `Grant a lease first: there is none with the ID "${id}"`);
}

function checkRanges(state: State, choice: Choice): void {
  for (const operation of choice.operations) {
    if (operation.kind === "range" && (operation.request.revision ?? 0) !== 0) {
      checkRevision(operation.request.revision ?? 0, state);
    } else if (operation.kind === "txn") {
      checkRanges(state, chosen(choice, operation));
    }
  }
}

function apply(draft: Draft, choice: Choice): OperationResult[] {
  return choice.operations.map((operation) => applyOne(draft, choice, operation));
}

function applyOne(draft: Draft, choice: Choice, operation: Operation): OperationResult {
  switch (operation.kind) {
    case "range":
      return { kind: "range", result: readRange(draft.tables, operation.request, draft.currentRevision) };
    case "put":
      return put(draft, operation.request);
    case "deleteRange":
      return deleteRange(draft, operation.request);
    case "txn": {
      const nested = chosen(choice, operation);
      return { kind: "txn", succeeded: nested.succeeded, results: apply(draft, nested) };
    }
  }
}

function put(draft: Draft, request: PutRequest): OperationResult {
  const old = readKey(draft.tables, request.key, "newest");
  draft.put(
    {
      key: request.key,
      value: request.ignoreValue === true && old !== undefined ? old.value : request.value,
      lease: request.ignoreLease === true && old !== undefined ? old.lease : (request.lease ?? NO_LEASE),
    },
    old,
  );
  return { kind: "put", prevKv: request.prevKv === true ? old : undefined };
}

function deleteRange(draft: Draft, request: DeleteRangeRequest): OperationResult {
  // Collected first: LMDB's cursors do not like what they walk over to change.
  const doomed = [...keyValues(draft.tables, request)];
  for (const kv of doomed) {
    draft.delete(kv);
  }
  return { kind: "deleteRange", deleted: doomed.length, prevKvs: request.prevKv === true ? doomed : [] };
}
