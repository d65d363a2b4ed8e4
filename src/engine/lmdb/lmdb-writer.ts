/**
 * Group commit: whatever waits when LMDB is ready to write goes into one LMDB transaction, so that one sync serves many.
 * Each step stands alone all the same: one that is refused leaves nothing and disturbs no other.
 */
import { isMusterError, MusterError } from "../../base/errors.ts";
import { WRITE_SLICE_MS } from "../../base/limits.ts";
import type { WatchHub } from "../watch-hub.ts";
import { Draft } from "./lmdb-draft.ts";
import { storeUnavailable } from "./lmdb-open.ts";
import { readState } from "./lmdb-snapshot.ts";
import type { LmdbStore } from "./lmdb-store.ts";

export interface LmdbWriterOptions {
  readonly store: LmdbStore;
  readonly hub: WatchHub;
  readonly directory: string;
  /** Time in ms that never jumps. */
  readonly monotonic: () => number;
}

/** What waits to be written. Running it answers with how to tell its caller, once all is synced. */
interface Step {
  readonly run: (draft: Draft) => () => void;
  readonly reject: (error: unknown) => void;
}

export class LmdbWriter {
  readonly #options: LmdbWriterOptions;
  readonly #waiting: Step[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: LmdbWriterOptions) {
    this.#options = options;
  }

  /**
   * Runs `step` within the next group commit and resolves with its result when that is synced. A step that wants to
   * refuse throws a MusterError before it writes. Errors: what it threw; `storeUnavailable`, `closed`: not applied.
   */
  submit<T>(step: (draft: Draft) => T): Promise<T> {
    if (this.#closed) {
      return Promise.reject(new MusterError("closed", "Open the engine first: it is closed"));
    }
    return new Promise((resolve, reject) => {
      const run = (draft: Draft) => {
        const result = step(draft);
        return () => resolve(result);
      };
      this.#waiting.push({ run, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Takes no more steps and resolves when those that wait are done. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        await this.#commit();
      }
    } finally {
      // In the same turn as the last look at who waits: a step that comes now starts its own round.
      this.#running = undefined;
    }
  }

  async #commit(): Promise<void> {
    const group = new Group(this.#waiting, this.#options.monotonic);
    let draft: Draft | undefined;
    try {
      await this.#options.store.write((tables) => {
        draft = new Draft(tables, readState(tables), this.#options.hub.isWatched);
        group.fill(draft);
        draft.seal();
      });
    } catch (error) {
      this.#fail(group, error);
      return;
    }
    this.#waiting.splice(0, group.size);
    if (draft !== undefined) {
      this.#announce(draft);
    }
    group.tellAll();
  }

  /** All is synced now: memory first, then watchers, and only then the callers. */
  #announce(draft: Draft): void {
    for (const effect of draft.effects) {
      effect();
    }
    for (const change of draft.changes) {
      this.#options.hub.publish(change);
    }
    this.#options.hub.advance(draft.revision);
  }

  /** A step that broke is taken out alone, the others are tried again; without such a step the store itself failed. */
  #fail(group: Group, error: unknown): void {
    const culprit = group.culprit;
    if (culprit !== undefined) {
      this.#waiting.splice(culprit.index, 1);
      culprit.step.reject(this.#named(error));
      return;
    }
    // Where the store could not even be asked, nobody who waits can be served.
    const failed = this.#waiting.splice(0, group.size === 0 ? this.#waiting.length : group.size);
    for (const step of failed) {
      step.reject(this.#named(error));
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

/** The steps of one group commit. */
class Group {
  readonly #waiting: readonly Step[];
  readonly #monotonic: () => number;
  #tell: (() => void)[] = [];
  #culprit: { readonly index: number; readonly step: Step } | undefined;

  constructor(waiting: readonly Step[], monotonic: () => number) {
    this.#waiting = waiting;
    this.#monotonic = monotonic;
  }

  get size(): number {
    return this.#tell.length;
  }

  /** The step that threw after it had written, or threw what is no refusal. */
  get culprit(): { readonly index: number; readonly step: Step } | undefined {
    return this.#culprit;
  }

  /** Runs steps while there are some and the time lasts; at least one. */
  fill(draft: Draft): void {
    const deadline = this.#monotonic() + WRITE_SLICE_MS;
    for (const [index, step] of this.#waiting.entries()) {
      this.#tell.push(this.#run(draft, step, index));
      if (this.#monotonic() >= deadline) {
        return;
      }
    }
  }

  tellAll(): void {
    for (const tell of this.#tell) {
      tell();
    }
  }

  #run(draft: Draft, step: Step, index: number): () => void {
    const before = draft.writes;
    try {
      return step.run(draft);
    } catch (error) {
      if (isMusterError(error) && draft.writes === before) {
        return () => step.reject(error);
      }
      this.#culprit = { index, step };
      throw error;
    }
  }
}

/** Whether it comes from LMDB or the system: LMDB's codes are numbers, and ERR_ is what Node calls errors of its caller. */
export function isSystemError(error: unknown): boolean {
  if (!(error instanceof Error && "code" in error)) {
    return false;
  }
  return typeof error.code === "number" || (typeof error.code === "string" && !error.code.startsWith("ERR_"));
}
