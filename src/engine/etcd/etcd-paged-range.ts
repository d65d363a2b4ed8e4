/**
 * Large ranges, read a page at a time: what one call cannot answer in the time of an attempt would be cut off, and begun
 * again elsewhere, for ever.
 */
import { isMusterError, MusterError } from "../../base/errors.ts";
import { STORE_PAGE_BYTES, STORE_PAGE_KEYS, STORE_PAGED_ATTEMPTS } from "../../base/store-limits.ts";
import type { KeyValue, RangeRequest, RangeResult } from "../model.ts";

type Read = (request: RangeRequest) => Promise<RangeResult>;

const AFTER = Uint8Array.of(0);

/** Reads a range at one revision, in as many calls as it takes. Errors: what `read` throws; `storeUnavailable`. */
export async function pagedRange(request: RangeRequest, read: Read): Promise<RangeResult> {
  if (!mayBeLarge(request)) return read(request);
  for (let attempt = 1; ; attempt++) {
    try {
      return await readPages(request, read);
    } catch (error) {
      // Nobody asked for a revision of old: it was the newest when it was begun.
      if ((request.revision ?? 0) > 0 || !isMusterError(error, "compacted")) throw error;
      if (attempt < STORE_PAGED_ATTEMPTS) continue;
      const advice =
        "Read fewer keys at a time, or have etcd compacted more seldom: it was, each time before all was read";
      throw new MusterError("storeUnavailable", advice, { cause: error });
    }
  }
}

/** A sort is etcd's work, which it does on all that there is. */
function mayBeLarge({ end, limit = 0, sort, countOnly }: RangeRequest): boolean {
  return (
    end !== undefined && sort === undefined && countOnly !== true && (limit === 0 || limit > STORE_PAGE_KEYS.first)
  );
}

async function readPages(request: RangeRequest, read: Read): Promise<RangeResult> {
  const { limit = 0, revision: asked = 0 } = request;
  const wanted = limit === 0 ? Number.POSITIVE_INFINITY : limit;
  const first = await read({ ...request, limit: Math.min(wanted, STORE_PAGE_KEYS.first) });
  const revision = asked > 0 ? asked : first.revision;
  const kvs = [...first.kvs];
  let page = first;
  while (page.more && kvs.length < wanted) {
    const last = kvs.at(-1);
    if (last === undefined) break;
    const key = Buffer.concat([last.key, AFTER]);
    const next = Math.min(wanted - kvs.length, keysOfNext(page.kvs));
    page = await read({ ...request, key, revision, limit: next, uncounted: true });
    for (const kv of page.kvs) kvs.push(kv);
  }
  return { revision: first.revision, kvs, more: page.more, count: first.count };
}

/** As many as have STORE_PAGE_BYTES, if they are as large as those before them. */
function keysOfNext(kvs: readonly KeyValue[]): number {
  let bytes = 1;
  for (const { key, value } of kvs) bytes += key.length + value.length;
  const keys = Math.round((STORE_PAGE_BYTES * kvs.length) / bytes);
  return Math.min(Math.max(keys, STORE_PAGE_KEYS.least), STORE_PAGE_KEYS.most);
}
