/** Writes a store to a file: one moment of it, whole, synced, and never over a file that is there. */
import { createHash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { isMusterError, MusterError } from "../../base/errors.ts";
import {
  EXPORT_ATTEMPTS,
  EXPORT_LARGEST_PAGE_BYTES,
  EXPORT_PAGE_BYTES,
  EXPORT_PIECE_BYTES,
} from "../../base/move-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import { writeEnd, writeHeader, writeKey, writeLease } from "./export-lines.ts";
import { keysAt, readMoment } from "./store-content.ts";

export interface ExportOptions {
  readonly engine: Engine;
  /** Must not be there yet. */
  readonly file: string;
  /** The time that the export says it was made at, in ms since 1970. */
  readonly now: number;
}

/** What an export holds. */
export interface Exported {
  readonly revision: Revision;
  readonly leases: number;
  readonly keys: number;
}

/**
 * Exports a store. Where that fails no file is left. Errors: `configInvalid` where the file is there already or cannot
 * be written; `compacted` where the store forgets a moment faster than it can be read; the engine's.
 */
export async function exportStore(options: ExportOptions): Promise<Exported> {
  const { file } = options;
  const handle = await create(file);
  try {
    const exported = await writeSome(options, handle);
    await handle.sync();
    await handle.close();
    await syncDirectory(dirname(file));
    return exported;
  } catch (error) {
    await handle.close();
    await rm(file, { force: true });
    throw isMusterError(error) ? error : unwritable(file, error);
  }
}

async function create(file: string): Promise<FileHandle> {
  try {
    // Appending: what is written after an attempt was cut off begins at the start again.
    return await open(file, "ax", 0o600);
  } catch (error) {
    throw unwritable(file, error);
  }
}

function unwritable(file: string, cause: unknown): MusterError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MusterError("configInvalid", `Name a new file that can be written, not "${file}": ${reason}`, { cause });
}

/** Each attempt reads the newest moment, in larger steps than the one before. */
async function writeSome(options: ExportOptions, handle: FileHandle): Promise<Exported> {
  for (let attempt = 0; attempt < EXPORT_ATTEMPTS; attempt++) {
    try {
      const pageBytes = Math.min(EXPORT_PAGE_BYTES * 4 ** attempt, EXPORT_LARGEST_PAGE_BYTES);
      return await writeOnce(options, { handle, pageBytes });
    } catch (error) {
      if (!isMusterError(error, "compacted")) throw error;
    }
  }
  throw new MusterError(
    "compacted",
    `Have etcd compacted more seldom while the export is made: ${EXPORT_ATTEMPTS} times what it was to hold was compacted ` +
      "before all of it had been read",
  );
}

async function writeOnce(
  { engine, now }: ExportOptions,
  { handle, pageBytes }: { readonly handle: FileHandle; readonly pageBytes: number },
): Promise<Exported> {
  const out = new Lines(handle);
  await out.begin();
  const moment = await readMoment(engine);
  const { revision, compactRevision, leases } = moment;
  await out.add(writeHeader({ revision, compactRevision, at: new Date(now).toISOString() }));
  for (const lease of leases) await out.add(writeLease(lease));
  let keys = 0;
  for await (const kv of keysAt(engine, moment, pageBytes)) {
    await out.add(writeKey(kv));
    keys++;
  }
  await out.end((sha256) => writeEnd({ leases: leases.length, keys, sha256 }));
  return { revision, leases: leases.length, keys };
}

/** Lines on their way to a file, a large piece at a time. */
class Lines {
  readonly #handle: FileHandle;
  readonly #hash = createHash("sha256");
  #waiting: string[] = [];
  #bytes = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** What an earlier attempt wrote goes. */
  async begin(): Promise<void> {
    await this.#handle.truncate(0);
  }

  async add(line: string): Promise<void> {
    this.#waiting.push(line);
    this.#bytes += line.length;
    if (this.#bytes >= EXPORT_PIECE_BYTES) await this.#write();
  }

  async end(last: (sha256: string) => string): Promise<void> {
    await this.#write();
    const line = last(this.#hash.copy().digest("hex"));
    await this.add(line);
    await this.#write();
  }

  async #write(): Promise<void> {
    const piece = Buffer.from(this.#waiting.join(""));
    this.#waiting = [];
    this.#bytes = 0;
    this.#hash.update(piece);
    await this.#handle.appendFile(piece);
  }
}

/** The file's name is durable only with its directory. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
