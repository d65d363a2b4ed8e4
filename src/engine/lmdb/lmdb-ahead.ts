/**
 * Transactions are worked out in the turn in which they come, above what is not synced yet, and go to LMDB in groups: one
 * is synced while the next is worked out. Each builds upon those before it, so where one fails all that were
 * worked out since fail with it; nobody has been told of them, nor of what they found.
 */
import type { WatchHub } from "../watch-hub.ts";
import { AheadGroup } from "./lmdb-ahead-group.ts";
import { writeFailure } from "./lmdb-open.ts";
import { Layer } from "./lmdb-overlay.ts";
import type { State } from "./lmdb-schema.ts";
import { readState } from "./lmdb-snapshot.ts";
import type { LmdbStore } from "./lmdb-store.ts";
import { applyAhead } from "./lmdb-txn-ahead.ts";
import type { AheadStep, Tell } from "./lmdb-work.ts";

export interface AheadOptions {
  readonly store: Pick<LmdbStore, "isWritable" | "lookNow" | "tables" | "write">;
  readonly hub: WatchHub;
  readonly directory: string;
}

/** A group, and who is to be told of it. */
interface Told {
  readonly group: AheadGroup;
  readonly tells: Tell[];
  readonly steps: AheadStep[];
}

export class Ahead {
  readonly #options: AheadOptions;
  /** What is being worked out, and what is on its way to the disk. */
  #open: Told | undefined;
  #writing: Told | undefined;
  #changes = 0;

  constructor(options: AheadOptions) {
    this.#options = options;
  }

  /** How many changes of keys were written. */
  get changes(): number {
    return this.#changes;
  }

  /** Whether nothing waits to be written. */
  get isIdle(): boolean {
    return this.#open === undefined && this.#writing === undefined;
  }

  /** Works out a transaction; false where it cannot be done now: then it was not begun. */
  take(step: AheadStep): boolean {
    this.#open ??= this.#begin();
    const open = this.#open;
    if (open === undefined || open.group.isFull) {
      return false;
    }
    open.steps.push(step);
    try {
      const result = applyAhead(open.group, step.request);
      open.tells.push(() => step.resolve(result));
    } catch (error) {
      // What it found may come from those before it: so it is told with them.
      const reason = writeFailure(this.#options.directory, error);
      open.tells.push(() => step.reject(reason));
    }
    return true;
  }

  /** Writes one group after the other, until none is left: those that are worked out meanwhile too. */
  async commit(): Promise<void> {
    let synced: Told | undefined;
    while (this.#open !== undefined) {
      const written = this.#write(this.#open);
      // Told of only now, when the disk is about to have work again.
      this.#announce(synced);
      synced = undefined;
      try {
        await written;
      } catch (error) {
        this.#fail(error);
        return;
      }
      synced = this.#writing;
      this.#writing = undefined;
    }
    this.#announce(synced);
  }

  #begin(): Told | undefined {
    const { store, hub } = this.#options;
    const below = this.#writing?.group;
    const state = below === undefined ? this.#storedState() : below.state;
    if (state === undefined || state.unfinished === true) {
      return undefined;
    }
    const layer = new Layer();
    const group = new AheadGroup({
      tables: store.tables,
      state,
      layer,
      below: below?.layer,
      isWatched: hub.isWatched,
    });
    return { group, tells: [], steps: [] };
  }

  #storedState(): State | undefined {
    const { store } = this.#options;
    return store.isWritable ? store.lookNow(readState) : undefined;
  }

  /** The group takes in what comes until LMDB is ready. */
  async #write(open: Told): Promise<void> {
    if (open.group.changes === 0) {
      this.#close(open);
      return;
    }
    await this.#options.store.write((tables) => {
      this.#close(open);
      open.group.write(tables);
    });
  }

  #close(open: Told): void {
    this.#open = undefined;
    this.#writing = open;
  }

  /** All is synced now: watchers are told first, and only then the callers. */
  #announce(synced: Told | undefined): void {
    if (synced === undefined) {
      return;
    }
    const { hub } = this.#options;
    const { group, tells } = synced;
    this.#changes += group.changes;
    for (const change of group.published) {
      hub.publish(change);
    }
    hub.advance(group.state.revision);
    for (const tell of tells) {
      tell();
    }
  }

  #fail(error: unknown): void {
    const reason = writeFailure(this.#options.directory, error);
    const failed = [...(this.#writing?.steps ?? []), ...(this.#open?.steps ?? [])];
    this.#writing = undefined;
    this.#open = undefined;
    for (const { reject } of failed) {
      reject(reason);
    }
  }
}
