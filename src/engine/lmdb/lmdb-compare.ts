/** Which branches a transaction takes. All compares are made first, nested ones too, as in etcd: none sees a write of its own. */
import { compareBytes } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { type Compare, type KeyValue, NO_LEASE, type Operation, type TxnRequest } from "../model.ts";
import type { Tables } from "./lmdb-open.ts";
import { keyValues } from "./lmdb-snapshot.ts";

/** Which branch of a transaction is taken, and which of each transaction nested in that branch, by operation. */
export interface Choice {
  readonly succeeded: boolean;
  readonly operations: readonly Operation[];
  readonly nested: ReadonlyMap<Operation, Choice>;
}

/** Makes all compares of a transaction. */
export function choose(tables: Tables, request: TxnRequest): Choice {
  const succeeded = request.compares.every((compare) => holds(tables, compare));
  const operations = succeeded ? request.success : request.failure;
  const nested = new Map<Operation, Choice>();
  for (const operation of operations) {
    if (operation.kind === "txn") {
      nested.set(operation, choose(tables, operation.request));
    }
  }
  return { succeeded, operations, nested };
}

function holds(tables: Tables, compare: Compare): boolean {
  let found = false;
  for (const kv of keyValues(tables, compare)) {
    found = true;
    if (!holdsFor(compare, kv)) {
      return false;
    }
  }
  // etcd compares an empty range, like a missing key, as a key-value of zeros, and never finds a value in it.
  return found || (compare.target !== "value" && holdsFor(compare, undefined));
}

function holdsFor(compare: Compare, kv: KeyValue | undefined): boolean {
  const order = compareTarget(compare, kv);
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

function compareTarget(compare: Compare, kv: KeyValue | undefined): number {
  switch (compare.target) {
    case "value":
      return kv === undefined ? -1 : compareBytes(kv.value, compare.expected);
    case "lease": {
      const lease = kv?.lease ?? NO_LEASE;
      return lease < compare.expected ? -1 : lease > compare.expected ? 1 : 0;
    }
    case "version":
    case "createRevision":
    case "modRevision":
      return (kv?.[compare.target] ?? 0) - compare.expected;
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
