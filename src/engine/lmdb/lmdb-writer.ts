/**
 * Group commit: whatever waits when LMDB is ready to write goes into one LMDB transaction, so that one sync serves many.
 * Each step stands alone all the same: one that is refused leaves nothing and disturbs no other.
 *
 * LMDB lets nobody else read or write in the turns that a transaction takes, so a step that takes longer than a slice
 * goes on in the next one. What it has written is committed meanwhile and nobody is shown it (lmdb-schema.ts); others
 * wait until it is done. If it never is, it is undone before anything else is written.
 */
import { isMusterError, MusterError } from "../../base/errors.ts";
import { ROLLBACK_RETRY_MS, WRITE_SLICE_MS } from "../../base/limits.ts";
import { Slice } from "../slice.ts";
import type { WatchHub } from "../watch-hub.ts";
import { Draft } from "./lmdb-draft.ts";
import { isSystemError, storeUnavailable, type Tables } from "./lmdb-open.ts";
import { rollBack } from "./lmdb-rollback.ts";
import { type Aside, type Behind, Round } from "./lmdb-round.ts";
import { readState } from "./lmdb-snapshot.ts";
import type { LmdbStore } from "./lmdb-store.ts";
import type { SlicedStep, Step, UnderWay } from "./lmdb-work.ts";

export interface LmdbWriterOptions {
  readonly store: LmdbStore;
  readonly hub: WatchHub;
  readonly directory: string;
  /** Time in ms that never jumps. */
  readonly monotonic: () => number;
  /** How long a step works before it lets others run. Default: WRITE_SLICE_MS. */
  readonly slice?: Slice;
}

export class LmdbWriter {
  readonly #options: LmdbWriterOptions;
  readonly #slice: Slice;
  readonly #waiting: Step[] = [];
  readonly #aside: Aside[] = [];
  readonly #behind: Behind[] = [];
  readonly #alone: (() => Promise<void>)[] = [];
  #underWay: UnderWay | undefined;
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** Whether an unfinished write is being undone, and there is more to undo. */
  #rollingBack = false;
  #closed = false;
  #changes = 0;

  constructor(options: LmdbWriterOptions) {
    this.#options = options;
    this.#slice = options.slice ?? new Slice({ monotonic: options.monotonic, ms: WRITE_SLICE_MS });
  }

  /** How many changes of keys have been written so far: of one revision there may be many. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Runs `step` within the next group commit and resolves with its result when that is synced. A step that wants to
   * refuse throws a MusterError before it writes. Errors: what it threw; `storeUnavailable`, `closed`: not applied.
   */
  submit<T>(step: (draft: Draft) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const begin = (draft: Draft) => {
        const result = step(draft);
        return () => resolve(result);
      };
      this.#enqueue({ begin, reject });
    });
  }

  /** As `submit`, for a step that may take long. */
  submitSliced<T>(step: SlicedStep<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const begin = function* (draft: Draft) {
        const result = yield* step(draft);
        return () => resolve(result);
      };
      this.#enqueue({ begin, reject });
    });
  }

  /**
   * Runs `write` along with the next LMDB transaction, though that may be in the middle of a long step: it must be short,
   * and touch nothing that transactions do. Resolves when it is synced. Errors: `storeUnavailable`, `closed`: not applied.
   */
  submitAside(write: (tables: Tables) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#mustBeOpen();
      this.#aside.push({ run: write, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  /**
   * Runs `write` in the next group commit behind its transactions, on a slice of its own: however many wait in line, it
   * is not one of them. Resolves when it is synced. Errors: what it threw; `storeUnavailable`, `closed`: not applied.
   */
  submitBehind(write: (draft: Draft) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#mustBeOpen();
      this.#behind.push({ run: write, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  /**
   * Runs `work` when no step is under way; nothing is written until it is done. Errors: what it threw; `closed`, where
   * the writer was closed before it was its turn.
   */
  submitAlone(work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#mustBeOpen();
      this.#alone.push(async () => {
        try {
          this.#mustBeOpen();
          await work();
          resolve();
        } catch (error) {
          reject(error);
        }
      });
      this.#running ??= this.#drain();
    });
  }

  /** Undoes what an unfinished write left, if there is such a thing, and tries again until it is done. */
  recover(): void {
    if (!this.#closed) {
      // Whatever is written next comes after it.
      this.submitAside(() => {}).catch(() => this.#recoverLater());
    }
  }

  /** Takes no more steps and resolves when those that wait are done. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#running;
  }

  #enqueue(step: Step): void {
    this.#mustBeOpen();
    this.#waiting.push(step);
    this.#running ??= this.#drain();
  }

  #mustBeOpen(): void {
    if (this.#closed) {
      throw new MusterError("closed", "Open the engine first: it is closed");
    }
  }

  async #drain(): Promise<void> {
    try {
      while (this.#hasWork()) {
        // A step under way has kept what it saw of the tables.
        const alone = this.#underWay === undefined ? this.#alone.shift() : undefined;
        await (alone === undefined ? this.#commit() : alone());
      }
    } finally {
      // In the same turn as the last look at who waits: a step that comes now starts its own round.
      this.#running = undefined;
    }
  }

  /** What is to be undone need not be while the store closes: the next to open it does it. */
  #hasWork(): boolean {
    const asked = [this.#waiting, this.#aside, this.#behind, this.#alone].some(({ length }) => length > 0);
    return asked || this.#underWay !== undefined || (this.#rollingBack && !this.#closed);
  }

  async #commit(): Promise<void> {
    const asked = { aside: this.#aside.splice(0), behind: this.#behind.splice(0) };
    const round = new Round(this.#waiting, asked, this.#underWay);
    try {
      await this.#options.store.write((tables) => this.#write(tables, round));
    } catch (error) {
      this.#fail(round, error);
      return;
    }
    this.#waiting.splice(0, round.group.size);
    this.#underWay = round.group.underWay;
    this.#behind.unshift(...round.notBegunBehind);
    this.#rollingBack = round.rollsBack && !round.isRolledBack;
    if (round.draft !== undefined) {
      this.#announce(round.draft);
    }
    round.tellAll();
  }

  /** What one LMDB transaction does. */
  #write(tables: Tables, round: Round): void {
    for (const { run } of round.aside) {
      run(tables);
    }
    const { underWay, group } = round;
    if (underWay !== undefined) {
      round.draft = underWay.draft;
      group.goOn(underWay);
      underWay.draft.seal();
      return;
    }
    const state = readState(tables);
    if (state.unfinished === true) {
      this.#slice.begin();
      round.rollsBack = true;
      round.isRolledBack = rollBack(tables, state, this.#slice);
    } else if (this.#waiting.length > 0 || round.behind.length > 0) {
      const draft = new Draft(tables, { state, slice: this.#slice, hub: this.#options.hub });
      round.draft = draft;
      group.fill(draft, this.#options.monotonic);
      round.doBehind(draft);
      draft.seal();
    }
  }

  /** All is synced now: memory first, then watchers, and only then the callers. */
  #announce(draft: Draft): void {
    const { hub } = this.#options;
    const { effects, changes, written } = draft.settle();
    this.#changes += written;
    for (const effect of effects) {
      effect();
    }
    for (const change of changes) {
      hub.publish(change);
    }
    hub.advance(draft.revision);
  }

  /** A step that broke is taken out alone, the others are tried again; without such a step the store itself failed. */
  #fail(round: Round, error: unknown): void {
    const { group, underWay, aside, behind, rollsBack } = round;
    const reason = this.#named(error);
    // Whom it would have concerned, were it very large.
    this.#options.hub.unfollow();
    this.#underWay = undefined;
    this.#rollingBack = false;
    for (const { reject } of [...aside, ...behind]) {
      reject(reason);
    }
    if (round.brokeBehind) {
      return;
    }
    if (underWay !== undefined || rollsBack) {
      this.#recoverLater();
    }
    if (underWay !== undefined) {
      underWay.step.reject(reason);
      return;
    }
    const culprit = group.culprit;
    if (culprit !== undefined) {
      this.#waiting.splice(culprit.index, 1);
      culprit.step.reject(reason);
      return;
    }
    // Where the store could not even be asked, nobody who waits can be served.
    const failed = this.#waiting.splice(0, group.size === 0 ? this.#waiting.length : group.size);
    for (const step of failed) {
      step.reject(reason);
    }
  }

  #recoverLater(): void {
    if (!this.#closed) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.recover(), ROLLBACK_RETRY_MS);
      this.#retry.unref();
    }
  }

  #named(error: unknown): MusterError {
    if (isMusterError(error)) {
      return error;
    }
    return isSystemError(error)
      ? storeUnavailable(this.#options.directory, error)
      : new MusterError("internal", "Report this defect: a write broke", { cause: error });
  }
}
