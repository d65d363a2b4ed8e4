/** What a range request leaves of the keys that are in its range, for those who have them all at hand. */
import { compareBytes, NO_BYTES } from "../base/bytes.ts";
import type { KeyValue, RangeRequest, RangeResult, SortTarget } from "./model.ts";

/** Applies bounds, sort, limit and what is to be left out; `all` come in key order. */
export function chooseKeys(all: readonly KeyValue[], request: RangeRequest): Omit<RangeResult, "revision"> {
  const count = all.length;
  if (request.countOnly === true) return { kvs: [], more: false, count };
  const chosen = sorted(
    all.filter((kv) => withinBounds(kv, request)),
    request.sort,
  );
  const limit = request.limit || chosen.length;
  const kvs = chosen.slice(0, limit);
  return {
    kvs: request.keysOnly === true ? kvs.map((kv) => ({ ...kv, value: NO_BYTES })) : kvs,
    more: chosen.length > limit,
    count,
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
  if (sort === undefined) return kvs;
  const order = ORDERS[sort.target];
  return [...kvs].sort(sort.order === "ascend" ? order : (a, b) => order(b, a));
}
