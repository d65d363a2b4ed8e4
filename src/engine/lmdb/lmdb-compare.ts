/** Which branches a transaction takes. All compares are made first, nested ones too, as in etcd: none sees a write of its own. */
import { compareBytes } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { type Compare, type KeyRange, NO_LEASE, type Operation, type TxnRequest } from "../model.ts";
import type { Tables } from "./lmdb-open.ts";
import { leaseIn, numberIn, valueIn } from "./lmdb-schema.ts";
import { boundsOf, readVersion, walk } from "./lmdb-snapshot.ts";
import { unitsOf, type View } from "./lmdb-view.ts";

/** Which branch of a transaction is taken, and which of each transaction nested in that branch, by operation. */
export interface Choice {
  readonly succeeded: boolean;
  readonly operations: readonly Operation[];
  readonly nested: ReadonlyMap<Operation, Choice>;
}

const NONE_NESTED: ReadonlyMap<Operation, Choice> = new Map();

/**
 * Makes the compares of a transaction that is short: whose compares are quick and which nests no other. Undefined
 * where it is not: then they are to be made in slices.
 */
export function chooseAtOnce(view: View, request: TxnRequest): Choice | undefined {
  // In the past, a walk to the first key may pass many that are not there.
  const isAtOnce = view.moment === "newest" ? isQuick : isOneKey;
  if (!request.compares.every(isAtOnce)) {
    return undefined;
  }
  const holds = (compare: Compare) =>
    compare.end === undefined
      ? holdsForOne(compare, readVersion(view.tables, compare.key, view.moment))
      : isEmptyNow(view.tables, compare);
  const succeeded = request.compares.every(holds);
  const operations = succeeded ? request.success : request.failure;
  return operations.some(({ kind }) => kind === "txn") ? undefined : { succeeded, operations, nested: NONE_NESTED };
}

/** Whether a compare looks at one key at most: one of a range does where it holds only if there is none. */
export function isQuick(compare: Compare): boolean {
  return isOneKey(compare) || (compare.target === "version" && compare.result === "equal" && compare.expected === 0);
}

export function isOneKey({ end }: KeyRange): boolean {
  return end === undefined;
}

function isEmptyNow(tables: Tables, range: KeyRange): boolean {
  const bounds = boundsOf(range);
  if (bounds === undefined) {
    return true;
  }
  const [first] = tables.keys.getKeys({ ...bounds, limit: 1 });
  return first === undefined;
}

/** Makes all compares of a transaction, in slices. */
export function* choose(view: View, request: TxnRequest): Generator<void, Choice, void> {
  const succeeded = yield* allHold(view, request.compares);
  const operations = succeeded ? request.success : request.failure;
  const nested = new Map<Operation, Choice>();
  for (const operation of operations) {
    if (operation.kind === "txn") {
      nested.set(operation, yield* choose(view, operation.request));
    }
  }
  return { succeeded, operations, nested };
}

function* allHold(view: View, compares: readonly Compare[]): Generator<void, boolean, void> {
  for (const compare of compares) {
    const holds =
      compare.end === undefined
        ? holdsForOne(compare, readVersion(view.tables, compare.key, view.moment))
        : yield* holdsForAll(view, compare);
    if (!holds) {
      return false;
    }
    if (view.isOver()) {
      yield;
    }
  }
  return true;
}

function* holdsForAll(view: View, compare: Compare): Generator<void, boolean, void> {
  let after: Buffer | undefined;
  let found = false;
  for (let goesOn = true; goesOn; ) {
    goesOn = false;
    for (const { key, record } of walk(view.tables, boundsOf(compare, after), view.moment)) {
      after = key;
      found ||= record !== undefined;
      if (record !== undefined && !holdsFor(compare, record)) {
        return false;
      }
      if (view.isOver(unitsOf(record))) {
        goesOn = true;
        break;
      }
    }
    if (goesOn) {
      yield;
    }
  }
  return found || holdsForOne(compare, undefined);
}

/** etcd compares an empty range, like a missing key, as a key-value of zeros, and never finds a value in it. */
function holdsForOne(compare: Compare, record: Buffer | undefined): boolean {
  return record === undefined && compare.target === "value" ? false : holdsFor(compare, record);
}

function holdsFor(compare: Compare, record: Buffer | undefined): boolean {
  const order = compareTarget(compare, record);
  switch (compare.result) {
    case "equal":
      return order === 0;
    case "notEqual":
      return order !== 0;
    case "greater":
      return order > 0;
    case "less":
      return order < 0;
  }
}

/** Of what a version record says, no more is decoded than is compared. */
function compareTarget(compare: Compare, record: Buffer | undefined): number {
  switch (compare.target) {
    case "value":
      return record === undefined ? -1 : compareBytes(valueIn(record), compare.expected);
    case "lease": {
      const lease = record === undefined ? NO_LEASE : leaseIn(record);
      return lease < compare.expected ? -1 : lease > compare.expected ? 1 : 0;
    }
    case "version":
    case "createRevision":
    case "modRevision":
      return (record === undefined ? 0 : numberIn(record, compare.target)) - compare.expected;
  }
}

/** The choice for a transaction nested in a chosen branch. */
export function chosen(choice: Choice, operation: Operation): Choice {
  const nested = choice.nested.get(operation);
  if (nested === undefined) {
    throw new MusterError("internal", "Report this defect: a nested transaction was not compared");
  }
  return nested;
}
