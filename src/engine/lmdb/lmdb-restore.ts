/** Makes a data directory from a snapshot that was saved with its checksum, as `etcdctl snapshot save` does. */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { MusterError } from "../../base/errors.ts";
import { SNAPSHOT_PIECE_BYTES } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import { takeEmptyPlace } from "./empty-place.ts";
import { checkLmdbFile } from "./lmdb-file-check.ts";
import { DATA_FILE } from "./lmdb-open.ts";
import { FORMAT_NAME, FORMAT_VERSION, STATE_KEY } from "./lmdb-schema.ts";
import { SNAPSHOT_HEADER_BYTES, snapshotHeader } from "./lmdb-snapshot-file.ts";
import { LmdbStore } from "./lmdb-store.ts";

const CHECKSUM_BYTES = 32;

export interface SnapshotPlaces {
  /** The snapshot, as it was saved. */
  readonly file: string;
  /** Where the store is to be. */
  readonly directory: string;
}

/**
 * Restores the snapshot in `file` into `directory`, which must be missing or empty; all of it is durable when this
 * resolves. What fails leaves an empty store's place. Errors: `configInvalid`, `directoryInUse`, `directoryCorrupt`,
 * `storeUnavailable`.
 */
export async function restoreSnapshot({ file, directory }: SnapshotPlaces): Promise<void> {
  await using snapshot = await openSnapshot(file);
  const end = await checkSnapshot(snapshot, file);
  const place = takeEmptyPlace(directory, "store");
  try {
    await fill(snapshot, end, join(directory, DATA_FILE));
    await checkStore(file, directory);
    place.commit();
  } catch (error) {
    await rm(join(directory, DATA_FILE), { force: true });
    throw error;
  } finally {
    place.close();
  }
}

async function openSnapshot(file: string): Promise<FileHandle> {
  try {
    const snapshot = await open(file);
    if ((await snapshot.stat()).isFile()) return snapshot;
    await snapshot.close();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MusterError("configInvalid", `Name a snapshot that can be read, not "${file}": ${reason}`, { cause });
  }
  throw invalid(file, "it is no file");
}

/** Answers where the copy of LMDB's file ends, if the checksum behind it is right. */
async function checkSnapshot(snapshot: FileHandle, file: string): Promise<number> {
  const { size } = await snapshot.stat();
  const end = size - CHECKSUM_BYTES;
  const header = Buffer.alloc(SNAPSHOT_HEADER_BYTES);
  await snapshot.read({ buffer: header, position: 0 });
  if (end < SNAPSHOT_HEADER_BYTES || !header.equals(snapshotHeader())) {
    throw invalid(file, describeHeader(header));
  }
  const hash = createHash("sha256");
  for await (const piece of piecesOf(snapshot, 0, end)) hash.update(piece);
  await compareChecksum(snapshot, { hash, end, file });
  return end;
}

async function compareChecksum(
  snapshot: FileHandle,
  { hash, end, file }: { readonly hash: Hash; readonly end: number; readonly file: string },
): Promise<void> {
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  await snapshot.read({ buffer: checksum, position: end });
  if (!hash.digest().equals(checksum)) {
    throw invalid(file, "its checksum is not that of its content; it may be cut off");
  }
}

function describeHeader(header: Buffer): string {
  const [, version] = new RegExp(`^${FORMAT_NAME} (\\d{1,9})\\n`).exec(header.toString("latin1")) ?? [];
  return version === undefined
    ? "it is none of Muster's; one of etcd's is restored with etcdutl, and copied into Muster by etcdctl make-mirror"
    : `its format is ${version}, this Muster knows ${FORMAT_VERSION}`;
}

async function fill(snapshot: FileHandle, end: number, path: string): Promise<void> {
  await using data = await open(path, "w", 0o600);
  for await (const piece of piecesOf(snapshot, SNAPSHOT_HEADER_BYTES, end)) await data.writeFile(piece);
  await data.sync();
}

async function* piecesOf(file: FileHandle, from: number, end: number): AsyncGenerator<Buffer> {
  for (let position = from; position < end; ) {
    const length = Math.min(SNAPSHOT_PIECE_BYTES, end - position);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(length), position, length });
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Whether what was restored is a store: a sound file with Muster's tables. */
async function checkStore(file: string, directory: string): Promise<void> {
  const wrong = checkLmdbFile(join(directory, DATA_FILE));
  if (wrong !== undefined) throw invalid(file, `LMDB's file in it is damaged: ${wrong}`);
  const store = await LmdbStore.open({ directory, isNew: false, log: silentLog });
  try {
    if (store.tables.meta.getBinary(STATE_KEY) === undefined) throw invalid(file, "it holds no state of a store");
  } finally {
    await store.close();
  }
}

function invalid(file: string, state: string): MusterError {
  return new MusterError("configInvalid", `Name a whole snapshot of Muster's, not "${file}": ${state}`);
}
