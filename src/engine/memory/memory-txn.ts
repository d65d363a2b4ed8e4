/** Transactions of the engine in memory. */
import { type Bytes, compareBytes } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import {
  type Compare,
  type CompareResult,
  type KeyValue,
  type LeaseId,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutRequest,
  type RangeRequest,
  type Revision,
  type TxnRequest,
} from "../model.ts";
import { type Change, copyOf, deletion, keyAt, stateAt } from "./memory-history.ts";
import { checkRevision, type Moment, readRange } from "./memory-range.ts";

/** A transaction whose compares are decided: the branch that is applied, all the way down. */
interface Decided {
  readonly succeeded: boolean;
  readonly steps: readonly Step[];
}
type Step = Exclude<Operation, { kind: "txn" }> | { readonly kind: "txn"; readonly decided: Decided };

export interface Applied {
  readonly succeeded: boolean;
  readonly results: readonly OperationResult[];
  /** What it changed, in order; all of it carries the next revision. */
  readonly changes: readonly Change[];
}

/** Errors: `keyNotFound`, `leaseNotFound`, `compacted`, `futureRevision`; `checkTxn` comes first. */
export function applyTxn(moment: Moment, request: TxnRequest, hasLease: (id: LeaseId) => boolean): Applied {
  const decided = decide(moment, request);
  for (const step of flatten(decided)) {
    if (step.kind === "put") {
      checkPutAgainst(moment, step.request, hasLease);
    } else if (step.kind === "range") {
      checkRevision(moment, step.request.revision);
    }
  }
  const run = new Run(moment);
  const results = run.apply(decided);
  return { succeeded: decided.succeeded, results, changes: run.changes };
}

/** Every compare, also of nested transactions, is decided on the store as it was before. */
function decide(moment: Moment, request: TxnRequest): Decided {
  const succeeded = request.compares.every((compare) => holds(moment, compare));
  const steps = (succeeded ? request.success : request.failure).map(
    (operation): Step =>
      operation.kind === "txn" ? { kind: "txn", decided: decide(moment, operation.request) } : operation,
  );
  return { succeeded, steps };
}

function flatten(decided: Decided): readonly Exclude<Step, { kind: "txn" }>[] {
  return decided.steps.flatMap((step) => (step.kind === "txn" ? flatten(step.decided) : [step]));
}

function holds(moment: Moment, compare: Compare): boolean {
  const kvs = stateAt(moment.history, compare, moment.revision);
  if (kvs.length === 0) {
    // A value that is not there compares with nothing; the other targets of a key that is not there are 0.
    return compare.target !== "value" && resultOf(compare, undefined);
  }
  return kvs.every((kv) => resultOf(compare, kv));
}

function resultOf(compare: Compare, kv: KeyValue | undefined): boolean {
  switch (compare.target) {
    case "value":
      return RESULTS[compare.result](kv === undefined ? 0 : compareBytes(kv.value, compare.expected));
    case "lease":
      return RESULTS[compare.result](sign(kv?.lease ?? NO_LEASE, compare.expected));
    case "version":
    case "createRevision":
    case "modRevision":
      return RESULTS[compare.result](sign(kv?.[compare.target] ?? 0, compare.expected));
  }
}

const RESULTS = {
  equal: (order) => order === 0,
  notEqual: (order) => order !== 0,
  greater: (order) => order > 0,
  less: (order) => order < 0,
} satisfies Record<CompareResult, (order: number) => boolean>;

function sign<T extends number | bigint>(a: T, b: T): number {
  return a === b ? 0 : a > b ? 1 : -1;
}

function checkPutAgainst(moment: Moment, put: PutRequest, hasLease: (id: LeaseId) => boolean): void {
  const lease = put.lease ?? NO_LEASE;
  if (lease !== NO_LEASE && !hasLease(lease)) {
    throw new MusterError("leaseNotFound", `grant the lease first, "${lease}": there is none of this ID`);
  }
  if (put.ignoreValue === true || put.ignoreLease === true) {
    kept(keyAt(moment.history, put.key, moment.revision), put.key);
  }
}

function kept(previous: KeyValue | undefined, key: Bytes): KeyValue {
  if (previous === undefined) {
    throw new MusterError(
      "keyNotFound",
      `put the key first, "${Buffer.from(key).toString()}": it has no value or lease that a put could keep`,
    );
  }
  return previous;
}

/** One transaction under way: the store as it was, and what was changed since. */
class Run {
  readonly changes: Change[] = [];
  readonly #before: Moment;
  readonly #next: Revision;

  constructor(before: Moment) {
    this.#before = before;
    this.#next = before.revision + 1;
  }

  apply(decided: Decided): readonly OperationResult[] {
    return decided.steps.map((step) => this.#step(step));
  }

  #step(step: Step): OperationResult {
    switch (step.kind) {
      case "txn":
        return { kind: "txn", succeeded: step.decided.succeeded, results: this.apply(step.decided) };
      case "range":
        return this.#range(step.request);
      case "put":
        return this.#put(step.request);
      case "deleteRange": {
        const prevKvs = stateAt(this.#now().history, step.request, this.#next);
        this.changes.push(...prevKvs.map((kv) => deletion(kv.key, this.#next)));
        return {
          kind: "deleteRange",
          deleted: prevKvs.length,
          prevKvs: step.request.prevKv === true ? prevKvs.map(copyOf) : [],
        };
      }
    }
  }

  #range(request: RangeRequest): OperationResult {
    return { kind: "range", result: readRange(this.#now(), request) };
  }

  #put(put: PutRequest): OperationResult {
    const previous = keyAt(this.#now().history, put.key, this.#next);
    const kv: KeyValue = {
      key: Uint8Array.from(put.key),
      value: put.ignoreValue === true ? kept(previous, put.key).value : Uint8Array.from(put.value),
      createRevision: previous?.createRevision ?? this.#next,
      modRevision: this.#next,
      version: (previous?.version ?? 0) + 1,
      lease: put.ignoreLease === true ? kept(previous, put.key).lease : (put.lease ?? NO_LEASE),
    };
    this.changes.push({ kind: "put", kv });
    return { kind: "put", prevKv: put.prevKv === true && previous !== undefined ? copyOf(previous) : undefined };
  }

  #now(): Moment {
    return {
      history: [...this.#before.history, ...this.changes],
      revision: this.changes.length > 0 ? this.#next : this.#before.revision,
      compactRevision: this.#before.compactRevision,
    };
  }
}
