/**
 * Makes a data directory of what another store held at one moment: with the same revisions, so that nothing changes for
 * clients. History is not part of it; the store begins one revision later, compacted to that, so that whoever asks for
 * what happened before is told that it is forgotten, and not that nothing happened.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { MusterError } from "../../base/errors.ts";
import { MAX_KEY_BYTES } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import { IMPORT_BATCH_BYTES, IMPORT_BATCH_KEYS } from "../../base/move-limits.ts";
import { type KeyValue, type LeaseId, NO_LEASE, type Revision } from "../model.ts";
import { takeEmptyPlace } from "./empty-place.ts";
import { DATA_FILE, type Tables } from "./lmdb-open.ts";
import { encodeCount, encodeState, encodeVersion, leaseKey, STATE_KEY } from "./lmdb-schema.ts";
import { LmdbStore } from "./lmdb-store.ts";

/** A store at one moment. */
export interface StoredMoment {
  readonly revision: Revision;
  readonly leases: readonly { readonly id: LeaseId; readonly ttl: number }[];
  /** In order of their bytes. */
  readonly keys: Iterable<KeyValue>;
}

export interface LmdbImport {
  /** Missing, or empty. */
  readonly directory: string;
  readonly moment: StoredMoment;
  /** Whether what an import that did not end has left is to go first. */
  readonly again: boolean;
}

/**
 * Makes the store; all of it is durable when this resolves. What fails leaves an empty store's place, and a process that
 * dies one that nobody takes for a store. Errors: `configInvalid`, `keyTooLong`, `directoryInUse`, `directoryCorrupt`,
 * `storeUnavailable`.
 */
export async function importIntoLmdb({ directory, moment, again }: LmdbImport): Promise<void> {
  const place = takeEmptyPlace(directory, again ? "importAgain" : "import");
  try {
    await fill(directory, moment);
    place.commit();
  } catch (error) {
    await rm(join(directory, DATA_FILE), { force: true });
    place.giveUp();
    throw error;
  } finally {
    place.close();
  }
}

async function fill(directory: string, moment: StoredMoment): Promise<void> {
  const store = await LmdbStore.open({ directory, isNew: true, log: silentLog });
  try {
    await store.write((tables) => {
      for (const { id, ttl } of moment.leases) tables.leases.putSync(leaseKey(id), encodeCount(ttl));
    });
    for (const batch of batchesOf(moment.keys)) await store.write((tables) => putAll(tables, batch));
    const revision = moment.revision + 1;
    await store.write((tables) => tables.meta.putSync(STATE_KEY, encodeState({ revision, compactRevision: revision })));
  } finally {
    await store.close();
  }
}

function putAll({ keys, leaseKeys }: Tables, kvs: readonly KeyValue[]): void {
  for (const kv of kvs) {
    const key = Buffer.from(kv.key);
    keys.putSync(key, encodeVersion(kv));
    if (kv.lease !== NO_LEASE) leaseKeys.putSync(leaseKey(kv.lease), key);
  }
}

function* batchesOf(kvs: Iterable<KeyValue>): Generator<readonly KeyValue[]> {
  let batch: KeyValue[] = [];
  let bytes = 0;
  for (const kv of kvs) {
    refuseTooLong(kv);
    batch.push(kv);
    bytes += kv.key.length + kv.value.length;
    if (batch.length < IMPORT_BATCH_KEYS && bytes < IMPORT_BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

function refuseTooLong({ key }: KeyValue): void {
  if (key.length <= MAX_KEY_BYTES) return;
  const name = JSON.stringify(Buffer.from(key).toString());
  throw new MusterError(
    "keyTooLong",
    `Delete or rename the key before it is exported: a data directory holds keys of up to ${MAX_KEY_BYTES} bytes, it has ${key.length}: ${name}`,
  );
}
