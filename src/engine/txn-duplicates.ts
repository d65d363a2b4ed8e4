/** Finds a key that a transaction writes twice, as etcd's checkIntervals (server/etcdserver/api/v3rpc/key.go), in n·log²n. */
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { MusterError } from "../base/errors.ts";
import { keyName, keyOf } from "./key-name.ts";
import type { KeyRange, Operation, TxnRequest } from "./model.ts";

/** Sorts after the name of every key, as those are latin1. */
const END_OF_KEYS = "\uffff";

/** So many keys are sooner compared each with each than sorted. */
const FEW_OPERATIONS = 8;

/** Where a deletion starts and ends, as places in the sorted bounds of all deletions. */
interface Span {
  readonly start: string;
  readonly end: string;
}

/** One branch of a transaction, sorted by what is looked at in which order. */
interface Branch {
  readonly deletes: readonly Span[];
  readonly nested: readonly (readonly [Branch, Branch])[];
  readonly puts: readonly string[];
  /** How many writes are in it and below. */
  readonly size: number;
}

type Write = { readonly put: string } | { readonly deleted: Span };

/**
 * Whether the branch and all below it write a key twice. A put meets the deletes of its own level, those of nested
 * transactions beside it, and where it is nested itself those nested before it; that a put and the delete of a later
 * sibling pass is etcd's way too. But a delete without an end counts here: etcd overlooks it, as its end is written "\0"
 * (seen on 3.4.23). Error: `duplicateKey`.
 */
export function checkDuplicates(operations: readonly Operation[]): void {
  // What most branches are.
  if (operations.length <= FEW_OPERATIONS && operations.every(isOfOneKey)) {
    checkEachWithEach(operations);
    return;
  }
  const bounds = new Set<string>();
  const branch = toBranch(operations, bounds);
  new DuplicateSearch([...bounds]).look(branch);
}

/** Whether it writes a single key, or nothing. */
function isOfOneKey(operation: Operation): boolean {
  return operation.kind === "deleteRange" ? operation.request.end === undefined : operation.kind !== "txn";
}

function checkEachWithEach(operations: readonly Operation[]): void {
  for (const [place, { kind, request }] of operations.entries()) {
    if (kind === "put" && operations.some((other, at) => meets(other, request.key, at < place))) {
      throw duplicate(keyName(request.key));
    }
  }
}

/** Whether an operation writes a key that is put: of two puts only the second is told. */
function meets({ kind, request }: Operation, key: Bytes, isBefore: boolean): boolean {
  return (kind === "deleteRange" || (kind === "put" && isBefore)) && equalBytes(request.key, key);
}

function toBranch(operations: readonly Operation[], bounds: Set<string>): Branch {
  const deletes: Span[] = [];
  const nested: (readonly [Branch, Branch])[] = [];
  const puts: string[] = [];
  let size = 0;
  for (const operation of operations) {
    if (operation.kind === "put") {
      puts.push(keyName(operation.request.key));
    } else if (operation.kind === "deleteRange") {
      const span = toSpan(operation.request);
      // An empty range would count down before it counts up.
      if (span.start < span.end) {
        deletes.push(span);
        bounds.add(span.start).add(span.end);
      }
    } else if (operation.kind === "txn") {
      const pair = toBranches(operation.request, bounds);
      nested.push(pair);
      size += pair[0].size + pair[1].size;
    }
  }
  return { deletes, nested, puts, size: size + deletes.length + puts.length };
}

/** Both branches of a nested transaction, the one with fewer writes first. */
function toBranches(request: TxnRequest, bounds: Set<string>): readonly [Branch, Branch] {
  const success = toBranch(request.success, bounds);
  const failure = toBranch(request.failure, bounds);
  return success.size <= failure.size ? [success, failure] : [failure, success];
}

function toSpan({ key, end }: KeyRange): Span {
  const start = keyName(key);
  return { start, end: end === undefined ? `${start}\0` : end === null ? END_OF_KEYS : keyName(end) };
}

class DuplicateSearch {
  readonly #puts = new Set<string>();
  readonly #deleted: CoverCount;
  /** What is in the two above, in the order it came. */
  readonly #done: Write[] = [];

  constructor(bounds: string[]) {
    this.#deleted = new CoverCount(bounds);
  }

  look(branch: Branch): void {
    for (const deleted of branch.deletes) {
      this.#add({ deleted });
    }
    for (const [smaller, larger] of branch.nested) {
      this.#lookAtEither(smaller, larger);
    }
    for (const put of branch.puts) {
      if (this.#puts.has(put) || this.#deleted.covers(put)) {
        throw duplicate(put);
      }
      this.#add({ put });
    }
  }

  /**
   * Only one of the two is applied, so neither sees the other's writes; what comes behind sees both. The smaller one's
   * are taken back and done again, so that no write is moved more often than log n times, however deep it is nested.
   */
  #lookAtEither(smaller: Branch, larger: Branch): void {
    const before = this.#done.length;
    this.look(smaller);
    const undone = this.#undo(before);
    this.look(larger);
    for (const write of undone) {
      if (!("put" in write && this.#puts.has(write.put))) {
        this.#add(write);
      }
    }
  }

  #add(write: Write): void {
    this.#done.push(write);
    if ("put" in write) {
      this.#puts.add(write.put);
    } else {
      this.#deleted.add(write.deleted, 1);
    }
  }

  #undo(before: number): readonly Write[] {
    const undone = this.#done.splice(before);
    for (const write of undone) {
      if ("put" in write) {
        this.#puts.delete(write.put);
      } else {
        this.#deleted.add(write.deleted, -1);
      }
    }
    return undone;
  }
}

/** How many spans lie over a name: a Fenwick tree of where they start and end. */
class CoverCount {
  readonly #bounds: readonly string[];
  readonly #sums: Int32Array;

  constructor(bounds: string[]) {
    this.#bounds = bounds.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    this.#sums = new Int32Array(bounds.length + 1);
  }

  add(span: Span, count: 1 | -1): void {
    this.#change(span.start, count);
    this.#change(span.end, -count);
  }

  covers(name: string): boolean {
    let count = 0;
    for (let at = this.#upTo(name); at > 0; at -= at & -at) {
      count += this.#sums[at] ?? 0;
    }
    return count > 0;
  }

  #change(bound: string, by: number): void {
    for (let at = this.#upTo(bound); at < this.#sums.length; at += at & -at) {
      this.#sums[at] = (this.#sums[at] ?? 0) + by;
    }
  }

  /** How many bounds are not after the name. */
  #upTo(name: string): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#bounds[middle] ?? "") <= name) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

function duplicate(put: string): MusterError {
  return new MusterError(
    "duplicateKey",
    `Write each key once in a transaction: "${keyOf(put).toString("utf8")}" is put twice, or put and deleted`,
  );
}
