/** A transaction that only reads: its compares and its ranges, in slices, as one moment of the store shows them. */
import { MusterError } from "../../base/errors.ts";
import type { OperationResult, Revision, TxnRequest, TxnResult } from "../model.ts";
import { type Choice, choose, chooseAtOnce, chosen } from "./lmdb-compare.ts";
import type { Tables } from "./lmdb-open.ts";
import { RangeRead, type SlicedRead } from "./lmdb-range.ts";
import { checkRevision } from "./lmdb-refusals.ts";
import type { State } from "./lmdb-schema.ts";
import type { Moment } from "./lmdb-snapshot.ts";
import { ReadView, type TimeUp } from "./lmdb-view.ts";

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

function checkRanges(state: State, choice: Choice): void {
  for (const operation of choice.operations) {
    if (operation.kind === "range" && (operation.request.revision ?? 0) !== 0) {
      checkRevision(operation.request.revision ?? 0, state);
    } else if (operation.kind === "txn") {
      checkRanges(state, chosen(choice, operation));
    }
  }
}
