/** Opening LMDB: with which settings and tables, and what its errors mean. */
import { closeSync, constants, existsSync, fsync, openSync, readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Database, open, type RootDatabase } from "lmdb";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { LMDB_LEAST_MAP_BYTES, LMDB_MAP_BYTES } from "../../base/limits.ts";
import { BYTE_ENTRIES, BYTE_KEYS } from "./lmdb-bytes.ts";
import { hasFreeList, MissingFreeList } from "./lmdb-free-list.ts";

/** The tables of lmdb-schema.ts. What they are asked outside a write callback is always committed and synced. */
export interface Tables {
  readonly keys: Database<Buffer, Buffer>;
  readonly revs: Database<Buffer, Buffer>;
  readonly past: Database<readonly number[], Buffer>;
  readonly leases: Database<Buffer, Buffer>;
  readonly leaseKeys: Database<Buffer, Buffer>;
  readonly meta: Database<Buffer, Buffer>;
}

export interface OpenOptions {
  readonly directory: string;
  /** Whether tables are made; where they ought to be there, missing ones are an error. */
  readonly isNew: boolean;
  /** Address space for the map, in bytes. Default: LMDB_MAP_BYTES, or less where the machine grants less. */
  readonly mapSize?: number;
}

/** LMDB while it is open: closing the root closes all. */
export interface Opened {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly tables: Tables;
  /** What whoever writes has to begin first, if it is missing. */
  readonly missingFreeList?: MissingFreeList;
}

const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;
const TABLE_COUNT = 6;
/** LMDB's own name for it. */
export const DATA_FILE = "data.mdb";
const LOCK_FILE = "lock.mdb";
/** At once: the lock file, the data file twice, and one of the system's. */
const FILES_THAT_LMDB_OPENS = 4;

/** LMDB's own codes that say that the file is not sound. */
const CORRUPT_CODES: ReadonlySet<unknown> = new Set([-30793, -30794, -30796, -30797]);

/** Opens LMDB in an existing directory. Errors: `directoryCorrupt`, `storeUnavailable`. */
export async function openRoot(options: OpenOptions): Promise<Opened> {
  let root: RootDatabase<Buffer, Buffer> | undefined;
  try {
    await syncData(options.directory);
    mustBeOpenable(options.directory);
    root = openMapped(options.directory, options.mapSize ?? mapSizeFor(addressSpaceLimit()));
    const tables = openTables(root, options.isNew);
    return hasFreeList(root)
      ? { root, tables }
      : { root, tables, missingFreeList: new MissingFreeList(root, tables.meta) };
  } catch (error) {
    await root?.close();
    throw openFailure(options.directory, error);
  }
}

/**
 * Makes what an earlier process wrote durable, if it died before it could: LMDB takes what the file shows for committed,
 * and readers would be told of what a power failure may yet take back. The directory too: the file may have taken the
 * place of another one, which would be back after a power failure, without what was written since.
 */
export async function syncData(directory: string): Promise<void> {
  const path = join(directory, DATA_FILE);
  if (existsSync(path)) {
    await sync(path, "r+");
    await sync(directory, "r");
  }
}

/** Not at once: a sick disk takes long, and where LMDB is opened anew others are being served. */
async function sync(path: string, flags: string): Promise<void> {
  const fd = openSync(path, flags);
  try {
    await promisify(fsync)(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Throws what the system would refuse LMDB, such as a file that may not be written, or one more open file: lmdb ends the
 * process by a signal when LMDB cannot be opened.
 */
function mustBeOpenable(directory: string): void {
  // A missing lock file is made, as LMDB would; the data file, which counts as a store when it is there, is not.
  const data = join(directory, DATA_FILE);
  const opened: number[] = [];
  try {
    opened.push(openSync(join(directory, LOCK_FILE), constants.O_RDWR | constants.O_CREAT, 0o600));
    while (opened.length < FILES_THAT_LMDB_OPENS) {
      opened.push(existsSync(data) ? openSync(data, "r+") : openSync(directory, "r"));
    }
  } finally {
    for (const fd of opened) {
      closeSync(fd);
    }
  }
}

/**
 * How much to map where a process may have `limit` bytes of address space. It is asked beforehand because lmdb ends the
 * process by a signal when the map is refused; a map that becomes too small grows by itself.
 */
export function mapSizeFor(limit: number): number {
  return Math.max(LMDB_LEAST_MAP_BYTES, Math.min(LMDB_MAP_BYTES, Math.floor(limit / 16)));
}

/** What `ulimit -v` allows, in bytes; infinite where nothing is limited, or the system does not say. */
function addressSpaceLimit(): number {
  try {
    const limit = /^Max address space +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    // No Linux: such a limit is rare there.
    return Number.POSITIVE_INFINITY;
  }
}

function openMapped(path: string, mapSize: number): RootDatabase<Buffer, Buffer> {
  const settings = {
    ...BINARY,
    path,
    mapSize,
    noSubdir: false,
    maxDbs: TABLE_COUNT,
    // Resolved means synced: with overlappingSync readers and callers would see what a crash can take back.
    overlappingSync: false,
    cache: false,
    // Else lmdb makes a promise of its own for each batch, and nobody handles its rejection when a commit fails.
    eventTurnBatching: false,
    // Tokens are secrets. (The option is lmdb's, but missing in its types.)
    permissionsMode: 0o600,
  };
  return open<Buffer, Buffer>(settings);
}

/** `create` is lmdb's too, but missing in its types; and without a table it answers undefined, which they do not say. */
function openTables(root: RootDatabase<Buffer, Buffer>, create: boolean): Tables {
  const table = (name: string, dupSort: boolean) => {
    const settings = { ...BYTE_ENTRIES, name, dupSort, create };
    return found(name, root.openDB<Buffer, Buffer>(settings));
  };
  const past = { ...BYTE_KEYS, name: "past", encoding: "ordered-binary", dupSort: true, create } as const;
  return {
    keys: table("keys", false),
    revs: table("revs", false),
    past: found(past.name, root.openDB<readonly number[], Buffer>(past)),
    leases: table("leases", false),
    leaseKeys: table("leaseKeys", true),
    meta: table("meta", false),
  };
}

function found<T>(name: string, table: T | undefined): T {
  if (table === undefined) {
    throw new MissingTable(name);
  }
  return table;
}

class MissingTable extends Error {
  constructor(name: string) {
    super(`there is no table "${name}"`);
  }
}

function openFailure(directory: string, error: unknown): MusterError {
  if (!CORRUPT_CODES.has(codeOf(error)) && !(error instanceof MissingTable)) {
    return storeUnavailable(directory, error);
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new MusterError(
    "directoryCorrupt",
    `Restore the data directory "${directory}" from a backup, or start with another one: its LMDB file cannot be used: ${reason}`,
    { cause: error },
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Whether it comes from LMDB or the system: LMDB's codes are numbers, and ERR_ is what Node calls errors of its caller. */
export function isSystemError(error: unknown): boolean {
  const code = isMusterError(error) ? undefined : codeOf(error);
  return typeof code === "number" || (typeof code === "string" && !code.startsWith("ERR_"));
}

/** The error for a store that cannot be written or read now, with what the system said. */
export function storeUnavailable(directory: string, cause: unknown): MusterError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MusterError(
    "storeUnavailable",
    `Make the data directory "${directory}" writable: the store cannot be used now: ${reason}${freeSpace(directory)}`,
    { cause },
  );
}

/** LMDB says "Input/output error" when the disk is full, so how full it is belongs in the message. */
function freeSpace(directory: string): string {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return ` (${Math.floor((bavail * bsize) / 2 ** 20)} MiB are free there)`;
  } catch {
    // Only an addition; the reason itself is told in any case.
    return "";
  }
}
