/** What of a store is moved: one moment of it, without what belongs to the engine or to the processes at work on it. */
import { utf8 } from "../../base/bytes.ts";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { EXPORT_LEASES_AT_ONCE, EXPORT_MOST_KEYS, EXPORT_PAGE_BYTES } from "../../base/move-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { covers } from "../../engine/key-range.ts";
import { type KeyRange, type KeyValue, type LeaseId, NO_LEASE, type Revision } from "../../engine/model.ts";
import { CLOCK_RECORDS } from "../peer-clock-record.ts";
import type { ExportedLease } from "./export-lines.ts";

/** What tells of the store itself, and of the clocks of processes that work on it: it means nothing in another one. */
const LEFT_OUT: readonly Required<KeyRange>[] = [{ key: utf8("\0store/"), end: utf8("\0store0") }, CLOCK_RECORDS];

const FIRST_PAGE_KEYS = 64;
const OVERHEAD_BYTES = 100;

/** A store at one moment. */
export interface StoreMoment {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly leases: readonly ExportedLease[];
}

/** Begins to read a store: its leases are read now, its keys by `keysAt`, as they stand at this moment. */
export async function readMoment(engine: Engine): Promise<StoreMoment> {
  // The revision first: of a key that is read at it, the lease is known by now, or has ended since.
  const { revision, compactRevision } = await engine.status();
  const ids = await engine.leases();
  const leases: ExportedLease[] = [];
  for (let from = 0; from < ids.length; from += EXPORT_LEASES_AT_ONCE) {
    const part = ids.slice(from, from + EXPORT_LEASES_AT_ONCE);
    const read = await Promise.all(part.map((id) => readLease(engine, id)));
    leases.push(...read.filter((lease) => lease !== undefined));
  }
  return { revision, compactRevision, leases };
}

/**
 * All keys as they stood then, in order of their bytes; a page at a time, of about `pageBytes`. Those whose lease has
 * ended since are left out, as they are gone. Errors: `compacted` where the store forgets that moment meanwhile;
 * `invalidArgument` where a key hangs on a lease that is not Muster's.
 */
export async function* keysAt(
  engine: Engine,
  moment: StoreMoment,
  pageBytes = EXPORT_PAGE_BYTES,
): AsyncGenerator<KeyValue> {
  const leases = new Set<LeaseId>(moment.leases.map(({ id }) => id));
  let key: Uint8Array = new Uint8Array(0);
  let limit = FIRST_PAGE_KEYS;
  for (let more = true; more; ) {
    const page = await engine.range({ key, end: null, revision: moment.revision, limit, uncounted: true });
    for (const kv of page.kvs) {
      if (LEFT_OUT.some((range) => covers(range, kv.key))) continue;
      if (kv.lease === NO_LEASE || leases.has(kv.lease) || (await hungOnForeignLease(engine, kv))) yield kv;
    }
    const last = page.kvs.at(-1);
    more = page.more && last !== undefined;
    if (last !== undefined) key = Buffer.concat([last.key, Buffer.of(0)]);
    limit = nextLimit(page.kvs, limit, pageBytes);
  }
}

async function readLease(engine: Engine, id: LeaseId): Promise<ExportedLease | undefined> {
  try {
    const { grantedTtl, ttl } = await engine.leaseStatus(id, { keys: false });
    return { id, ttl: grantedTtl, left: ttl };
  } catch (error) {
    if (isMusterError(error, "leaseNotFound")) return undefined;
    throw error;
  }
}

/** False where the key went with its lease; one that is still the same hung on a lease that somebody else granted. */
async function hungOnForeignLease(engine: Engine, { key, lease, createRevision }: KeyValue): Promise<boolean> {
  // By its creation: whoever put it again since may have given it another lease, or none.
  const { kvs } = await engine.range({ key, keysOnly: true });
  if (kvs[0]?.createRevision !== createRevision) return false;
  throw new MusterError(
    "invalidArgument",
    `Delete the key ${JSON.stringify(Buffer.from(key).toString())}, or put it without a lease: it hung on the lease ` +
      `"${lease}" when the export began, which was not granted through Muster and cannot be moved`,
  );
}

function nextLimit(kvs: readonly KeyValue[], limit: number, pageBytes: number): number {
  const bytes = kvs.reduce((sum, { key, value }) => sum + key.length + value.length + OVERHEAD_BYTES, 1);
  const fitting = Math.floor((pageBytes / bytes) * kvs.length);
  return Math.max(1, Math.min(limit * 4, EXPORT_MOST_KEYS, fitting));
}
