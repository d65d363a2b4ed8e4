import { compareBytes, NO_BYTES } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { KeyValue, RangeRequest, RangeResult, Revision, SortTarget } from "../model.ts";
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
  const answer = { revision: moment.revision, count: all.length };
  if (request.countOnly === true) {
    return { ...answer, kvs: [], more: false };
  }
  const chosen = sorted(
    all.filter((kv) => withinBounds(kv, request)),
    request.sort,
  );
  const limit = request.limit || chosen.length;
  const kvs = chosen.slice(0, limit).map(copyOf);
  return {
    ...answer,
    kvs: request.keysOnly === true ? kvs.map((kv) => ({ ...kv, value: NO_BYTES })) : kvs,
    more: chosen.length > limit,
  };
}

function withinBounds(kv: KeyValue, request: RangeRequest): boolean {
  return (
    kv.modRevision >= (request.minModRevision || 0) &&
    kv.modRevision <= (request.maxModRevision || Number.POSITIVE_INFINITY) &&
    kv.createRevision >= (request.minCreateRevision || 0) &&
    kv.createRevision <= (request.maxCreateRevision || Number.POSITIVE_INFINITY)
  );
}

const ORDERS = {
  key: (a, b) => compareBytes(a.key, b.key),
  value: (a, b) => compareBytes(a.value, b.value),
  version: (a, b) => a.version - b.version,
  createRevision: (a, b) => a.createRevision - b.createRevision,
  modRevision: (a, b) => a.modRevision - b.modRevision,
} satisfies Record<SortTarget, (a: KeyValue, b: KeyValue) => number>;

/** `kvs` come in key order, and the sort is stable: equal ones stay so. */
function sorted(kvs: readonly KeyValue[], sort: RangeRequest["sort"]): readonly KeyValue[] {
  if (sort === undefined) {
    return kvs;
  }
  const order = ORDERS[sort.target];
  return [...kvs].sort(sort.order === "ascend" ? order : (a, b) => order(b, a));
}
