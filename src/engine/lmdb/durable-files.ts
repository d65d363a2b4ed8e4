/** Files and directories that are there after a power cut: what is written is synced, and so are the names above it. */
import { closeSync, fsyncSync, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Makes the directory and those above it that are missing; their names are durable only once the ones above are synced. */
export function makeDurably(path: string): void {
  const first = makeMissing(path);
  if (first !== undefined) {
    const end = dirname(resolve(first));
    for (let above = dirname(resolve(path)); above.length >= end.length; above = dirname(above)) {
      syncAbove(above);
      if (above === end) {
        return;
      }
    }
  }
}

/**
 * Makes a directory and those above it that are missing; answers with the first one made. mkdir's own `recursive` spins
 * for ever below a directory that lets nothing be made (such as /proc), and says ENOENT for a read-only file system.
 */
function makeMissing(path: string): string | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    return undefined;
  }
  const first = makeMissing(dirname(resolve(path)));
  mkdirSync(path, { mode: 0o700 });
  return first ?? path;
}

/** Writes a whole file and syncs it; its name is durable only once the directory is synced. */
export function writeDurably(path: string, content: string): void {
  const fd = openSync(path, "w", 0o600);
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A new name in a directory is durable only when the directory itself is synced. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** As `syncDirectory`, for one that may belong to somebody else: where it may not be read, its owner has to see to it. */
export function syncAbove(path: string): void {
  try {
    syncDirectory(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EACCES")) {
      throw error;
    }
  }
}
