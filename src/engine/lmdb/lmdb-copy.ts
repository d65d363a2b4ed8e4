/** Copies of the store within its own directory: elsewhere may be less room, or others who may read them. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isMusterError } from "../../base/errors.ts";
import { DATA_FILE, storeUnavailable } from "./lmdb-open.ts";
import type { LmdbStore } from "./lmdb-store.ts";

/** Begins the name of the directory that LMDB copies into. */
const UNFINISHED = "snapshot-";

/**
 * Gives `use` the name of a compacted copy of what is committed now; whatever has that name afterwards is removed.
 * Errors: what `use` throws; `storeUnavailable`, also where the disk has no room for the copy.
 */
export async function withCopy<T>(
  { store, directory }: { readonly store: LmdbStore; readonly directory: string },
  use: (file: string) => Promise<T>,
): Promise<T> {
  const place = await within(directory, () => mkdtemp(join(directory, UNFINISHED)));
  try {
    await store.copyInto(place);
    return await within(directory, () => use(join(place, DATA_FILE)));
  } finally {
    await within(directory, () => rm(place, { recursive: true, force: true }));
  }
}

/** Removes what copies left behind whose process died meanwhile. */
export async function removeUnfinished(directory: string): Promise<void> {
  await within(directory, async () => {
    for (const name of await readdir(directory)) {
      if (name.startsWith(UNFINISHED)) {
        await rm(join(directory, name), { recursive: true, force: true });
      }
    }
  });
}

/** Names what the file system refuses. */
export async function within<T>(directory: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw isMusterError(error) ? error : storeUnavailable(directory, error);
  }
}
