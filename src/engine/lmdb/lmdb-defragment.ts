/**
 * Makes LMDB's file as small as what is in it. LMDB uses free pages again but never gives one back, so a compacted copy
 * takes the file's place, while nobody writes: at each moment the directory holds one file with everything, and a process
 * that dies leaves either.
 */
import { open } from "node:fs/promises";
import { withCopy } from "./lmdb-copy.ts";
import type { LmdbStore } from "./lmdb-store.ts";

/** As the file that it replaces: tokens are secrets. LMDB makes copies that everybody may read. */
const OWNER_ONLY = 0o600;

/**
 * Nobody may write to the store until this is done; reads go on, and wait only while the new file is opened.
 * Error: `storeUnavailable`; then the store is as it was, or, where only the last sync or opening failed, goes on with
 * the new file as soon as that can be done.
 */
export async function defragment(store: LmdbStore, directory: string): Promise<void> {
  await withCopy({ store, directory }, async (copy) => {
    await makeDurable(copy);
    await store.goOnWith(copy);
  });
}

async function makeDurable(path: string): Promise<void> {
  await using file = await open(path, "r+");
  await file.chmod(OWNER_ONLY);
  await file.sync();
}
