/**
 * LMDB as the engine needs it: a write is applied whole or not at all, resolves when it is synced, and after the kind of
 * failure that LMDB itself does not get over it is opened anew.
 */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { isMusterError, MusterError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import {
  DATA_FILE,
  isSystemError,
  type Opened,
  type OpenOptions,
  openRoot,
  storeUnavailable,
  syncData,
  type Tables,
} from "./lmdb-open.ts";
import { STATE_KEY } from "./lmdb-schema.ts";

export interface LmdbStoreOptions extends OpenOptions {
  readonly log: Log;
}

export class LmdbStore {
  readonly #options: LmdbStoreOptions;
  #opened: Opened | undefined;
  #reopening: Promise<void> | undefined;
  /** The last write: settled when it is done with, and what it broke is opened anew or cannot be. */
  #writing: Promise<void> = Promise.resolve();
  /** The copies under way. */
  #copying: Promise<void> = Promise.resolve();
  /** The last exchange of the file, settled when it is done: a copy that began meanwhile would hold it up. */
  #exchanging: Promise<void> = Promise.resolve();
  #closed = false;
  #fails = false;
  /** Why LMDB has to be opened anew before it is written to. */
  #damage: unknown;
  #onReopen: (tables: Tables) => Promise<void> = () => Promise.resolve();

  private constructor(options: LmdbStoreOptions, opened: Opened) {
    this.#options = options;
    this.#opened = opened;
  }

  /** Opens LMDB in an existing directory, making its files if need be. Errors: `directoryCorrupt`, `storeUnavailable`. */
  static async open(options: LmdbStoreOptions): Promise<LmdbStore> {
    return new LmdbStore(options, await openRoot(options));
  }

  /**
   * Calls `hook` whenever LMDB was opened anew: what is on disk may then be more than memory knows. Nobody reads or
   * writes until it is done, so it must not wait for that.
   */
  onReopen(hook: (tables: Tables) => Promise<void>): void {
    this.#onReopen = hook;
  }

  /** Looks at the tables now; undefined where a failed write keeps them from being read. */
  lookNow<T>(look: (tables: Tables) => T): T | undefined {
    try {
      return this.#opened === undefined ? undefined : look(this.#opened.tables);
    } catch (error) {
      if (isSystemError(error)) {
        return undefined;
      }
      throw error;
    }
  }

  /** Resolves when the store can be read; tries to open it anew where a failure closed it. Errors: `storeUnavailable`. */
  async ready(): Promise<void> {
    if (this.#opened === undefined) {
      await this.#reopen();
    }
  }

  /** The tables as they are committed now. Error: `storeUnavailable` while a failure keeps the store closed. */
  get tables(): Tables {
    return this.#mustBeOpen().tables;
  }

  /**
   * Looks at the tables, at once if possible. A write that fails may make LMDB refuse all reads until it is opened anew:
   * a look that met that is taken once more when it is. Errors: what `look` threw; `storeUnavailable`, `closed`.
   */
  read<T>(look: (tables: Tables) => T | Promise<T>): Promise<T> {
    try {
      const seen = look(this.tables);
      return seen instanceof Promise
        ? seen.catch((error: unknown) => this.#readAgain(error, look))
        : Promise.resolve(seen);
    } catch (error) {
      return this.#readAgain(error, look);
    }
  }

  /**
   * Runs `apply` in a write transaction and resolves when all of it is synced. Whatever goes wrong, nothing of it is
   * applied. `apply` may be called later in this or another turn, or not at all where the store is closed by a failure.
   * Errors: what `apply` threw; `storeUnavailable` where the commit failed.
   */
  write(apply: (tables: Tables) => void): Promise<void> {
    const written = this.#write(apply);
    this.#writing = written.catch(() => {});
    return written;
  }

  /**
   * Copies what is committed now, without free pages, as LMDB's data file in an existing empty directory. Others read and
   * write meanwhile. Error: `storeUnavailable`.
   */
  async copyInto(directory: string): Promise<void> {
    await this.#exchanging;
    await this.ready();
    const copying = this.#mustBeOpen().root.backup(directory, true);
    // LMDB copies in a thread of its own, which goes on when nobody waits for it any more: LMDB must stay open for it.
    const done = copying.catch(() => {});
    this.#copying = this.#copying.then(() => done);
    try {
      await copying;
    } catch (error) {
      throw storeUnavailable(directory, error);
    }
  }

  /**
   * Puts a file with the same content, which must be durable, in the place of LMDB's own and goes on with it. Nobody may
   * write until this is done. Error: `storeUnavailable`; where the name was there to be taken, all is as it was, else
   * whoever writes or reads next tries again to go on with the new file.
   */
  goOnWith(file: string): Promise<void> {
    const exchanged = this.#exchange(file);
    this.#exchanging = exchanged.catch(() => {});
    return exchanged;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reopening?.catch(() => {});
    await this.#copying;
    await this.#opened?.root.close();
    this.#opened = undefined;
  }

  /** After `failure`, which may be one of LMDB itself. */
  async #readAgain<T>(failure: unknown, look: (tables: Tables) => T | Promise<T>): Promise<T> {
    if (!isSystemError(failure) && !isMusterError(failure, "storeUnavailable")) {
      throw failure;
    }
    await this.#writing;
    await this.ready();
    try {
      return await look(this.tables);
    } catch (error) {
      throw isSystemError(error) ? storeUnavailable(this.#options.directory, error) : error;
    }
  }

  async #write(apply: (tables: Tables) => void): Promise<void> {
    await this.ready();
    if (this.#damage !== undefined) {
      await this.#renew(this.#damage);
    }
    const { root, tables, missingFreeList } = this.#mustBeOpen();
    let thrown: { readonly error: unknown } | undefined;
    try {
      if (missingFreeList !== undefined) {
        await missingFreeList.begin();
      }
      // A child transaction, because lmdb commits a plain one even when its callback throws.
      await root.childTransaction(() => {
        try {
          apply(tables);
        } catch (error) {
          thrown = { error };
          throw error;
        }
      });
      this.#tell(undefined);
    } catch (error) {
      // Asked for in any case: the group's commit may have failed as well, and nobody else takes that promise up.
      const cause = await commitCause(error);
      if (thrown === undefined) {
        this.#tell(cause);
      }
      await this.#recover(thrown === undefined ? cause : thrown.error);
      throw thrown === undefined ? storeUnavailable(this.#options.directory, cause) : thrown.error;
    }
  }

  async #exchange(file: string): Promise<void> {
    const { directory } = this.#options;
    await this.#copying;
    try {
      await rename(file, join(directory, DATA_FILE));
    } catch (error) {
      throw storeUnavailable(directory, error);
    }
    // What is open has no name any more: nothing may be written to it, even if this goes no further.
    this.#damage = new Error("the file that took the place of LMDB's could not be opened");
    await this.#renew(this.#damage);
  }

  /** Says once that writes fail, and once that they do not any more. */
  #tell(failure: unknown): void {
    const fails = failure !== undefined;
    if (fails === this.#fails) {
      return;
    }
    this.#fails = fails;
    const { log, directory } = this.#options;
    if (fails) {
      log.error({ err: failure, directory }, "the store cannot be written: writes are refused until it can");
    } else {
      log.info({ directory }, "the store can be written again");
    }
  }

  #mustBeOpen(): Opened {
    if (this.#opened === undefined) {
      throw storeUnavailable(this.#options.directory, new Error("the store is closed after a failure"));
    }
    return this.#opened;
  }

  /**
   * When the meta page could not be written, LMDB refuses everything until it is opened anew, and lmdb's writer thread
   * would wait for ever: so no write may be tried before this has looked. After any other failure of the system's it can
   * still be read, and is opened anew before the next write.
   */
  async #recover(failure: unknown): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) {
      return;
    }
    if (isReadable(opened)) {
      this.#damage = isSystemError(failure) ? failure : undefined;
      return;
    }
    this.#options.log.error(
      { directory: this.#options.directory },
      "LMDB gave up after a failed write: opening it anew",
    );
    await this.#reopen(opened).catch((error: unknown) => {
      this.#options.log.error({ err: error }, "LMDB could not be opened anew: it is tried again at the next request");
    });
  }

  /**
   * LMDB of which a write failed is not to be written to: its lists of pages are wrong by then, so that it writes pages in
   * the middle of a transaction as if it had no room, and at last beyond its memory, of which the process dies. Where the
   * file cannot even be synced it stays open all the same, to be read. Error: `storeUnavailable`.
   */
  async #renew(damage: unknown): Promise<void> {
    const { directory } = this.#options;
    try {
      await syncData(directory);
    } catch {
      // The first failure tells more.
      throw storeUnavailable(directory, damage);
    }
    await this.#reopen(this.#opened);
  }

  /** Whoever comes while one is under way waits for that, from the closing of `old` on: LMDB must not be open twice. */
  #reopen(old?: Opened): Promise<void> {
    this.#opened = undefined;
    this.#reopening ??= this.#openAgain(old).finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #openAgain(old: Opened | undefined): Promise<void> {
    await this.#copying;
    await old?.root.close();
    if (this.#closed) {
      throw new MusterError("closed", "Open the engine first: it is closed");
    }
    const opened = await openRoot({ ...this.#options, isNew: false });
    try {
      await this.#onReopen(opened.tables);
    } catch (error) {
      await opened.root.close();
      throw error;
    }
    this.#damage = undefined;
    this.#opened = opened;
  }
}

/** lmdb rejects with a general error and keeps the system's in a promise beside it. */
async function commitCause(error: unknown): Promise<unknown> {
  if (error instanceof Error && "commitError" in error && error.commitError instanceof Promise) {
    return error.commitError.then(
      () => error,
      (reason: unknown) => reason,
    );
  }
  return error;
}

function isReadable(opened: Opened): boolean {
  try {
    opened.root.resetReadTxn();
    return opened.tables.meta.getBinary(STATE_KEY) !== undefined;
  } catch {
    // What LMDB says here is only that it gave up; the reason is the failed write's, which is reported.
    return false;
  }
}
