/** Ranges of the engine in memory. */
import { MusterError } from "../../base/errors.ts";
import { chooseKeys } from "../choose-keys.ts";
import type { RangeRequest, RangeResult, Revision } from "../model.ts";
import { copyOf, type History, stateAt } from "./memory-history.ts";

/** One moment of a store. `revision` is its newest one. */
export interface Moment {
  readonly history: History;
  readonly revision: Revision;
  readonly compactRevision: Revision;
}

/** Errors: `compacted`, `futureRevision`: there is nothing to read at that revision. */
export function checkRevision(moment: Moment, revision: Revision | undefined): void {
  if (revision === undefined || revision === 0) {
    return;
  }
  if (revision > moment.revision) {
    throw new MusterError(
      "futureRevision",
      `ask for a revision that has happened, not "${revision}": the newest is ${moment.revision}`,
    );
  }
  if (revision < moment.compactRevision) {
    throw new MusterError(
      "compacted",
      `ask for a revision that is kept, not "${revision}": the store is compacted to ${moment.compactRevision}`,
      { details: { compactRevision: moment.compactRevision } },
    );
  }
}

/** Errors: `compacted`, `futureRevision`. */
export function readRange(moment: Moment, request: RangeRequest): RangeResult {
  checkRevision(moment, request.revision);
  const all = stateAt(moment.history, request, request.revision || moment.revision);
  const { kvs, more, count } = chooseKeys(all, request);
  return { revision: moment.revision, kvs: kvs.map(copyOf), more, count };
}
