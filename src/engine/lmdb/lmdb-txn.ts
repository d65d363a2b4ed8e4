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
  type LeaseId,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutRequest,
  type Revision,
  type TxnRequest,
  type TxnResult,
} from "../model.ts";
import { type Choice, choose, chooseAtOnce, chosen, isOneKey, isQuick } from "./lmdb-compare.ts";
import type { Draft } from "./lmdb-draft.ts";
import type { Tables } from "./lmdb-open.ts";
import { RangeRead, readRange, type SlicedRead } from "./lmdb-range.ts";
import { decodeVersion, type State } from "./lmdb-schema.ts";
import { boundsOf, type Moment, readKey, readOwnKey, walk } from "./lmdb-snapshot.ts";
import { ReadView, type TimeUp, unitsOf } from "./lmdb-view.ts";
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

/** A transaction that has no writes: its compares and its ranges. Errors: `compacted`, `futureRevision`. */
export class TxnRead implements SlicedRead {
  readonly oldest: Revision | undefined;
  readonly #state: State;
  readonly #view: ReadView;
  readonly #request: TxnRequest;
  #choosing: Generator<void, Choice, void> | undefined;
  #choice: Choice | undefined;
  /** All ranges of the branches that are taken, in the order of their operations. */
  readonly #reads: RangeRead[] = [];
  #done = 0;

  /** `newest`: the moment that the first slice is given. */
  constructor(view: { readonly tables: Tables; readonly newest: Moment }, state: State, request: TxnRequest) {
    this.#state = state;
    this.#view = new ReadView(view.tables, view.newest);
    this.#request = request;
    this.oldest = oldestIn(request);
  }

  slice(tables: Tables, newest: Moment, timeUp: TimeUp): boolean {
    if (this.#choice === undefined) {
      this.#view.begin(tables, newest, timeUp);
      this.#choice = this.#choose();
      if (this.#choice === undefined) {
        return false;
      }
      checkRanges(this.#state, this.#choice);
      this.#gather(this.#choice);
    }
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
    if (this.#choice === undefined) {
      throw new MusterError("internal", "Report this defect: a transaction was not compared");
    }
    const results = this.#results(this.#choice, this.#reads.values());
    return { revision: this.#state.revision, succeeded: this.#choice.succeeded, results };
  }

  /** The choice, or undefined where its compares take longer than the slice. */
  #choose(): Choice | undefined {
    const choice = this.#choosing === undefined ? chooseAtOnce(this.#view, this.#request) : undefined;
    if (choice !== undefined) {
      return choice;
    }
    this.#choosing ??= choose(this.#view, this.#request);
    const { done, value } = this.#choosing.next();
    return done === true ? value : undefined;
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
      return { kind: "range", result: read.result(this.#state.revision) };
    });
  }
}

/** The oldest revision that any branch reads at, where that is not the newest: which are taken is known too late. */
function oldestIn({ success, failure }: TxnRequest): Revision | undefined {
  let oldest: Revision | undefined;
  for (const { kind, request } of [...success, ...failure]) {
    const asked = kind === "range" ? request.revision : kind === "txn" ? oldestIn(request) : undefined;
    if (asked !== undefined && asked > 0 && asked < (oldest ?? Number.POSITIVE_INFINITY)) {
      oldest = asked;
    }
  }
  return oldest;
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
  if (keeps && readKey(draft.tables, put.key, "newest") === undefined) {
    const key = Buffer.from(put.key).toString();
    throw new MusterError("keyNotFound", `Put a value and a lease: there is no key "${key}" to keep them from`);
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
  const key = Buffer.from(request.key);
  const old = readOwnKey(draft.tables, key, "newest");
  draft.put(
    {
      key,
      value: request.ignoreValue === true && old !== undefined ? old.value : request.value,
      lease: request.ignoreLease === true && old !== undefined ? old.lease : (request.lease ?? NO_LEASE),
    },
    old,
  );
  return { kind: "put", prevKv: request.prevKv === true ? old : undefined };
}

function deleteOne(draft: Draft, request: DeleteRangeRequest): OperationResult {
  const old = readKey(draft.tables, request.key, "newest");
  if (old === undefined) {
    return { kind: "deleteRange", deleted: 0, prevKvs: [] };
  }
  draft.delete(old);
  return { kind: "deleteRange", deleted: 1, prevKvs: request.prevKv === true ? [old] : [] };
}

function* deleteRange(draft: Draft, request: DeleteRangeRequest): Work<OperationResult> {
  const prevKvs: KeyValue[] = [];
  let deleted = 0;
  for (let after: Buffer | undefined, goesOn = true; goesOn; ) {
    // Collected first: LMDB's cursors do not like what they walk over to change.
    const { kvs: doomed, units } = firstOf(draft, request, after);
    for (const kv of doomed) {
      draft.delete(kv);
      if (request.prevKv === true) {
        prevKvs.push({ ...kv, key: packed(kv.key), value: packed(kv.value) });
      }
    }
    deleted += doomed.length;
    const last = doomed.at(-1)?.key;
    after = last === undefined ? undefined : Buffer.from(last);
    goesOn = units >= draft.slice.unitsPerLook;
    if (goesOn && draft.isOver(units)) {
      yield;
    }
  }
  return { kind: "deleteRange", deleted, prevKvs };
}

interface First {
  readonly kvs: readonly KeyValue[];
  /** The work of reading them; where it is worth a look at the clock, there may be more. */
  readonly units: number;
}

/** The first keys of a range that come after one. */
function firstOf(draft: Draft, request: DeleteRangeRequest, after: Buffer | undefined): First {
  const kvs: KeyValue[] = [];
  let units = 0;
  for (const { key, record } of walk(draft.tables, boundsOf(request, after), "newest")) {
    if (record !== undefined) {
      kvs.push(decodeVersion(key, record));
    }
    units += unitsOf(record);
    if (units >= draft.slice.unitsPerLook) {
      break;
    }
  }
  return { kvs, units };
}
