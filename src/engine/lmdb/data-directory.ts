/**
 * The directory that a store lives in: owned by one process at a time, and known to be a store before LMDB touches it.
 *
 * | file                | what                                                                                       |
 * |---------------------|--------------------------------------------------------------------------------------------|
 * | LOCK                | locked by the process that owns the directory; the kernel frees it the instant that it dies |
 * | FORMAT              | what the directory holds, `muster-lmdb 1`; written last when a store is made                |
 * | FORMAT.new          | a store is being made; what else is there then is of no worth. Where that is an import,     |
 * |                     | the file says so, and nothing but another import begins anew in its place                   |
 * | data.mdb, lock.mdb  | LMDB's                                                                                      |
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { tryLock } from "fs-native-extensions";
import { isMusterError, MusterError } from "../../base/errors.ts";
import { makeDurably, syncAbove, syncDirectory, writeDurably } from "./durable-files.ts";
import { checkLmdbFile } from "./lmdb-file-check.ts";
import { FORMAT_NAME, FORMAT_VERSION } from "./lmdb-schema.ts";

const LOCK = "LOCK";
const FORMAT = "FORMAT";
const FORMAT_NEW = "FORMAT.new";
const DATA = "data.mdb";
const LMDB_LOCK = "lock.mdb";
/** What must be free for a store to be made; LMDB's files take a tenth of it. */
const NEW_STORE_BYTES = 1_048_576;
/** More than LMDB asks for (8,272 bytes); it takes what there is. */
const LMDB_LOCK_BYTES = 12_288;
/** What a file system puts at its root, where that is the directory. */
const LOST_AND_FOUND = "lost+found";
const KNOWN: ReadonlySet<string> = new Set([LOCK, FORMAT, FORMAT_NEW, DATA, LMDB_LOCK, LOST_AND_FOUND]);
const LONGEST_FORMAT_BYTES = 256;
const FORMAT_LINE = `${FORMAT_NAME} ${FORMAT_VERSION}\n`;
/** Behind the format in FORMAT.new: the store that is being made is an imported one. */
const IMPORT_NOTE = "import\n";

/** What is to become of a directory without a store: an empty one, or what is imported, even where an import broke off. */
export type Making = "store" | "import" | "importAgain";

/** A directory that this process owns until it is closed. */
export class DataDirectory {
  readonly path: string;
  /** Whether a store has to be made in it; `commit` then says that it is. */
  readonly isNew: boolean;
  readonly #lock: number;
  readonly #making: Making;
  #closed = false;

  private constructor(place: Pick<DataDirectory, "path" | "isNew">, lock: number, making: Making) {
    this.path = place.path;
    this.#lock = lock;
    this.isNew = place.isNew;
    this.#making = making;
  }

  /**
   * Takes the directory, making it if it is missing, and looks whether it is a sound store or an empty place for one.
   * One that is refused is left as it is. Errors: `directoryInUse`, `directoryCorrupt`,
   * `directoryTooNew`, `storeUnavailable` where the file system does not let us.
   */
  static open(path: string, { making = "store" }: { readonly making?: Making } = {}): DataDirectory {
    const lock = withReason(path, () => takeLock(path, making));
    try {
      return withReason(path, () => {
        const isNew = inspect(path, making);
        if (isNew) {
          prepare(path, making);
        } else {
          reserveLmdbLock(path);
        }
        return new DataDirectory({ path, isNew }, lock, making);
      });
    } catch (error) {
      closeSync(lock);
      throw error;
    }
  }

  /** Declares that the store is made. From now on a directory without its data is corrupt. */
  commit(): void {
    withReason(this.path, () => {
      // The names of the data must be durable before the one that says that they are there.
      syncDirectory(this.path);
      if (this.#making === "store") {
        renameSync(join(this.path, FORMAT_NEW), join(this.path, FORMAT));
      } else {
        // What says that an import goes on must not go before it is said that it is done.
        writeDurably(join(this.path, FORMAT), FORMAT_LINE);
        syncDirectory(this.path);
        rmSync(join(this.path, FORMAT_NEW));
      }
      syncDirectory(this.path);
      // Whoever made the directory may not have synced its own name.
      syncAbove(dirname(resolve(this.path)));
    });
  }

  /**
   * Looks whether the directory's files are still where they were opened: LMDB would go on in deleted ones, and lose all
   * at its end. Error: `storeUnavailable`.
   */
  mustBeInPlace(): void {
    const lock = statSync(join(this.path, LOCK), { throwIfNoEntry: false });
    const own = fstatSync(this.#lock);
    if (lock?.ino !== own.ino || lock.dev !== own.dev || !existsSync(join(this.path, DATA))) {
      throw new MusterError(
        "storeUnavailable",
        `Stop Muster and restore the data directory "${this.path}": its files were deleted or moved under the running process`,
      );
    }
  }

  /** Says that no store is being made any more: what was made of it must be gone. */
  giveUp(): void {
    withReason(this.path, () => {
      rmSync(join(this.path, FORMAT_NEW), { force: true });
      syncDirectory(this.path);
    });
  }

  /** Gives the directory up for the next process. */
  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      closeSync(this.#lock);
    }
  }
}

/** Error: `configInvalid` where a directory holds no store, which opening it would make. */
export function mustHoldStore(path: string): void {
  if (existsSync(join(path, FORMAT))) {
    return;
  }
  if (existsSync(join(path, FORMAT_NEW))) {
    refuseHalfImport(path);
  }
  throw new MusterError("configInvalid", `Name the data directory of a store, not "${path}": it holds none`);
}

function takeLock(path: string, making: Making): number {
  makeDurably(path);
  if (!existsSync(join(path, LOCK))) {
    // Looked at already here, so that not even a file LOCK is left in what is refused.
    inspect(path, making);
  }
  const lock = openSync(join(path, LOCK), "a+", 0o600);
  try {
    if (!tryLock(lock)) {
      throw new MusterError(
        "directoryInUse",
        `Stop the other Muster, or start this one with another data directory than "${path}": it is in use`,
      );
    }
  } catch (error) {
    closeSync(lock);
    throw error;
  }
  return lock;
}

/** Whether a store has to be made. Throws where there is one that cannot be opened, or something else. */
function inspect(path: string, making: Making): boolean {
  const names = new Set(readdirSync(path));
  refuseForeign(path, names);
  if (names.has(FORMAT)) {
    checkStore(path, names);
  } else if (names.has(FORMAT_NEW) && making !== "importAgain") {
    refuseHalfImport(path);
  }
  return !names.has(FORMAT);
}

function refuseForeign(path: string, names: ReadonlySet<string>): void {
  if (names.has(FORMAT)) {
    return;
  }
  const foreign = [...names].find((name) => !KNOWN.has(name));
  if (foreign !== undefined && !(names.has(FORMAT_NEW) || names.has(DATA))) {
    throw foreignDirectory(path, foreign);
  }
  if (foreign !== undefined) {
    throw corrupt(path, `it holds "${foreign}", which is not Muster's, and no file ${FORMAT}`);
  }
  if (names.has(DATA) && !names.has(FORMAT_NEW)) {
    throw corrupt(path, `it holds ${DATA}, but no file ${FORMAT}`);
  }
}

function refuseHalfImport(path: string): void {
  if (!readFileSync(join(path, FORMAT_NEW), "latin1").endsWith(IMPORT_NOTE)) {
    return;
  }
  throw new MusterError(
    "directoryCorrupt",
    `Run \`muster import\` once more, with --again, or choose another data directory than "${path}": an import into it did not end`,
    { details: { state: "an import into it did not end; --again begins anew" } },
  );
}

function checkStore(path: string, names: ReadonlySet<string>): void {
  const format = readFileSync(join(path, FORMAT)).subarray(0, LONGEST_FORMAT_BYTES).toString("latin1");
  const version = new RegExp(`^${FORMAT_NAME} (\\d{1,9})\\n$`).exec(format)?.[1];
  if (version === undefined) {
    throw corrupt(path, `its file ${FORMAT} says ${JSON.stringify(format)}`);
  }
  if (Number(version) > FORMAT_VERSION) {
    throw new MusterError(
      "directoryTooNew",
      `Start a newer Muster, or this one with another data directory than "${path}": its format is ${version}, this ` +
        `Muster knows up to ${FORMAT_VERSION}`,
    );
  }
  if (Number(version) !== FORMAT_VERSION) {
    throw corrupt(path, `its file ${FORMAT} says ${JSON.stringify(format)}`);
  }
  if (!names.has(DATA)) {
    throw corrupt(path, `it holds a file ${FORMAT}, but no ${DATA}`);
  }
  const wrong = checkLmdbFile(join(path, DATA));
  if (wrong !== undefined) {
    throw corrupt(path, `${DATA} is damaged: ${wrong}`);
  }
}

/** The error for a directory whose content is not a sound store. */
export function corrupt(path: string, state: string): MusterError {
  return new MusterError(
    "directoryCorrupt",
    `Restore the data directory "${path}" from a backup, or start with another one; nothing in it was changed: ${state}`,
    { details: { state } },
  );
}

/** The error for somebody else's directory: a path that was mistyped, most likely. */
function foreignDirectory(path: string, name: string): MusterError {
  const state = `it holds "${name}" and nothing of Muster's`;
  return new MusterError(
    "directoryCorrupt",
    `Choose a data directory that is empty or not there yet instead of "${path}": ${state}`,
    { details: { state } },
  );
}

/**
 * Clears what an interrupted making left, and notes that one is under way: if this process dies before `commit`, the next
 * one finds the note and starts over, as nothing can have been acknowledged.
 */
function prepare(path: string, making: Making): void {
  refuseFull(path);
  const note = making === "store" ? "" : IMPORT_NOTE;
  writeDurably(join(path, FORMAT_NEW), FORMAT_LINE + note);
  syncDirectory(path);
  rmSync(join(path, DATA), { force: true });
  rmSync(join(path, LMDB_LOCK), { force: true });
}

/** LMDB dies of a disk that gets full while it makes its files. File systems that do not say how large they are pass. */
function refuseFull(path: string): void {
  const { bavail, blocks, bsize } = statfsSync(path);
  if (blocks > 0 && bavail * bsize < NEW_STORE_BYTES) {
    throw Object.assign(new Error(`a new store takes ${NEW_STORE_BYTES} bytes, ${bavail * bsize} are left`), {
      code: "ENOSPC",
    });
  }
}

/**
 * Makes LMDB's file of locks where a store comes without (a backup needs none): LMDB writes it through a map, and where no
 * space is left for it the kernel would end the process by a signal instead of an error.
 */
function reserveLmdbLock(path: string): void {
  const file = join(path, LMDB_LOCK);
  if (!existsSync(file)) {
    writeFileSync(file, Buffer.alloc(LMDB_LOCK_BYTES), { mode: 0o600 });
  }
}

function withReason<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (isMusterError(error)) {
      throw error;
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new MusterError("storeUnavailable", `${remedy(path, error)}: ${reason}`, { cause: error });
  }
}

/** What somebody has to do where the file system does not let us. */
function remedy(path: string, error: unknown): string {
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "EROFS":
      return `Mount the file system of the data directory "${path}" so that it can be written, then start Muster again`;
    case "ENOSPC":
    case "EDQUOT":
      return `Free some space for the data directory "${path}", then start Muster again`;
    case "EACCES":
    case "EPERM":
      return `Let the user that runs Muster read and write the data directory "${path}"`;
    default:
      return `Make the data directory "${path}" one that Muster can use`;
  }
}
