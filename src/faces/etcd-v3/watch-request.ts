/** What a client asks of one watch, read as etcd reads it (server/etcdserver/api/v3rpc/watch.go). */
import { type Bytes, compareBytes, packed } from "../../base/bytes.ts";
import type { WatchRequest as KeyWatch } from "../../engine/model.ts";
import { WatchCreateRequest_FilterType as Filter, type WatchCreateRequest } from "../../proto/etcdserverpb.ts";
import { ETCD_ERRORS } from "./errors.ts";

/** Why a watch is created only to be canceled; in etcd's words. */
export const REFUSALS = {
  emptyRange: "mvcc: watcher range is empty",
  duplicateId: "mvcc: duplicate watch ID provided on the WatchStream",
  compacted: ETCD_ERRORS.compacted.words,
} as const;

/** The least key there is: what an empty key stands for. */
const LEAST_KEY: Bytes = Uint8Array.of(0);

/** The watch that is asked for, in memory of its own, or why there can be none. */
export function readWatch(request: WatchCreateRequest): KeyWatch | { readonly refusal: string } {
  const { startRevision, prevKv, filters } = request;
  if (startRevision < 0) return { refusal: REFUSALS.compacted };
  const key = request.key.length === 0 ? LEAST_KEY : packed(request.key);
  const end = readEnd(request.rangeEnd);
  if (end !== undefined && end !== null && compareBytes(key, end) >= 0) return { refusal: REFUSALS.emptyRange };
  return {
    key,
    ...(end === undefined ? {} : { end }),
    startRevision,
    prevKv,
    noPut: filters.includes(Filter.NOPUT),
    noDelete: filters.includes(Filter.NODELETE),
  };
}

/** No end: the key alone. One byte 0: every key from there on. */
function readEnd(end: Bytes): Bytes | null | undefined {
  if (end.length === 0) return undefined;
  return end.length === 1 && end[0] === 0 ? null : packed(end);
}
