/** A checksum of all that clients can see of the store at a revision: the same whenever and wherever it is asked for. */
import { crc32 } from "node:zlib";
import { NO_BYTES } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import { HASH_ATTEMPTS, HASH_PAGE_BYTES, HASH_PAGE_KEYS } from "../../base/limits.ts";
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";

export interface KeyspaceHash {
  /** CRC-32 of every key-value in key order: its lengths, numbers, key and value. */
  readonly hash: number;
  /** The revision at which they were read. */
  readonly revision: Revision;
}

/** Lengths of key and value, u32; create and modification revision, version and lease, u64. */
const NUMBERS_BYTES = 40;

/**
 * Hashes the keys as they stood at a revision; 0: the newest. Read page by page, so that neither memory nor the event
 * loop sees much of it. Errors: `compacted`, also where the revision is compacted meanwhile; `futureRevision`.
 */
export async function hashKeyspace(keyspace: Pick<Keyspace, "range">, revision: Revision): Promise<KeyspaceHash> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await hashOnce(keyspace, revision);
    } catch (error) {
      // Who asked for the newest revision does not mind a newer one.
      if (revision > 0 || attempt === HASH_ATTEMPTS || !isMusterError(error, "compacted")) throw error;
    }
  }
}

async function hashOnce(keyspace: Pick<Keyspace, "range">, asked: Revision): Promise<KeyspaceHash> {
  let revision = asked;
  let hash = 0;
  let key = NO_BYTES;
  let limit = 1;
  for (;;) {
    const page = await keyspace.range({ key, end: null, revision, limit, uncounted: true });
    if (revision === 0) revision = page.revision;
    let bytes = 0;
    for (const kv of page.kvs) {
      hash = addTo(hash, kv);
      bytes += kv.key.length + kv.value.length;
    }
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) return { hash, revision };
    key = Buffer.concat([last.key, Buffer.of(0)]);
    limit = nextLimit(limit, bytes);
  }
}

/** As many keys as went well the last time, or more of them; keys differ in size, so it grows by steps. */
function nextLimit(limit: number, bytes: number): number {
  const fits = Math.floor((HASH_PAGE_BYTES * limit) / Math.max(bytes, 1));
  return Math.max(1, Math.min(fits, limit * 4, HASH_PAGE_KEYS));
}

function addTo(hash: number, { key, value, createRevision, modRevision, version, lease }: KeyValue): number {
  const numbers = Buffer.allocUnsafe(NUMBERS_BYTES);
  numbers.writeUInt32BE(key.length, 0);
  numbers.writeUInt32BE(value.length, 4);
  numbers.writeBigUInt64BE(BigInt(createRevision), 8);
  numbers.writeBigUInt64BE(BigInt(modRevision), 16);
  numbers.writeBigUInt64BE(BigInt(version), 24);
  numbers.writeBigUInt64BE(lease, 32);
  return crc32(value, crc32(key, crc32(numbers, hash)));
}
