/**
 * A snapshot of an LMDB store as a file: 512 bytes that say which format (`muster-lmdb 1` and a line's end, then zeros),
 * then LMDB's data file, compacted. LMDB copies into a file that has lost its name by the time it is read, so that a
 * process that dies leaves nothing; streaming LMDB's pages themselves would keep its readers' snapshot for as long as a
 * slow client takes, and no page could be used again meanwhile.
 */
import { open } from "node:fs/promises";
import { SNAPSHOT_PIECE_BYTES } from "../../base/limits.ts";
import type { Snapshot } from "../engine.ts";
import { withCopy, within } from "./lmdb-copy.ts";
import { FORMAT_NAME, FORMAT_VERSION } from "./lmdb-schema.ts";
import type { LmdbStore } from "./lmdb-store.ts";

/** A multiple of 512, as LMDB's pages are: etcdctl takes the length of what it saves for a sign that a checksum follows. */
export const SNAPSHOT_HEADER_BYTES = 512;

/** Copies the store. Error: `storeUnavailable`, also where the disk has no room for the copy. */
export function takeSnapshot(store: LmdbStore, directory: string): Promise<Snapshot> {
  return withCopy({ store, directory }, async (copy) => {
    const file = await open(copy);
    const { size } = await file.stat();
    return {
      size: SNAPSHOT_HEADER_BYTES + size,
      read: () => pieces(file, directory),
      close: () => file.close(),
    };
  });
}

/** The first bytes of a snapshot. */
export function snapshotHeader(): Buffer {
  const header = Buffer.alloc(SNAPSHOT_HEADER_BYTES);
  header.write(`${FORMAT_NAME} ${FORMAT_VERSION}\n`, "latin1");
  return header;
}

async function* pieces(file: Awaited<ReturnType<typeof open>>, directory: string): AsyncGenerator<Buffer> {
  yield snapshotHeader();
  for (let position = 0; ; ) {
    const at = { buffer: Buffer.allocUnsafe(SNAPSHOT_PIECE_BYTES), position };
    const { buffer, bytesRead } = await within(directory, () => file.read(at));
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
