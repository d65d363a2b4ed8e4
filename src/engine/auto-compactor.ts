/**
 * Compacts a store by itself, so that history does not grow for ever. What it keeps is both a time and a number of
 * revisions, whichever is more: a busy store keeps an hour, a quiet one everything.
 */
import type { Clock } from "../base/clock.ts";
import { isMusterError } from "../base/errors.ts";
import { COMPACTION_INTERVAL_MS, COMPACTION_KEEP_MS, COMPACTION_KEEP_REVISIONS } from "../base/limits.ts";
import { type Log, silentLog } from "../base/log.ts";
import type { Engine } from "./engine.ts";
import type { Revision } from "./model.ts";

export interface AutoCompactorOptions {
  readonly engine: Pick<Engine, "status" | "compact">;
  readonly clock: Clock;
  readonly log?: Log;
  /** History to keep, in ms; default COMPACTION_KEEP_MS. */
  readonly keepMs?: number;
  /** Revisions to keep; default COMPACTION_KEEP_REVISIONS. */
  readonly keepRevisions?: number;
  /** Time between two looks, in ms; default COMPACTION_INTERVAL_MS. */
  readonly intervalMs?: number;
}

interface Sample {
  readonly time: number;
  readonly revision: Revision;
}

export class AutoCompactor {
  readonly #options: AutoCompactorOptions;
  readonly #log: Log;
  /** Which revision the store was at, look by look: all that was there at a sample is at least as old as it. */
  #samples: Sample[] = [];
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(options: AutoCompactorOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  /** Looks now and then at every interval, until `stop`. */
  start(): void {
    if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.#lookAlone(), this.#options.intervalMs ?? COMPACTION_INTERVAL_MS);
      // It must not keep a process alive that has nothing else to do.
      this.#timer.unref();
      this.#lookAlone();
    }
  }

  /** Looks no more; resolves when a look under way is done. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  /** Notes the store's revision and forgets what is neither young nor among the last ones. Errors: the engine's. */
  async look(): Promise<void> {
    const { engine, clock, keepMs = COMPACTION_KEEP_MS, keepRevisions = COMPACTION_KEEP_REVISIONS } = this.#options;
    const { revision, compactRevision } = await engine.status();
    const now = clock.monotonic();
    this.#samples.push({ time: now, revision });
    const old = this.#samples.findLastIndex((sample) => sample.time <= now - keepMs);
    // Of the samples that are old enough, only the newest will ever count again.
    this.#samples = this.#samples.slice(Math.max(old, 0));
    const oldEnough = old === -1 ? 0 : (this.#samples[0]?.revision ?? 0);
    const target = Math.min(oldEnough, revision - keepRevisions);
    if (target > compactRevision) {
      await engine.compact(target);
      this.#log.info({ revision: target, newest: revision }, "compacted the store's history");
    }
  }

  #lookAlone(): void {
    this.#running ??= this.look()
      .catch((error: unknown) => this.#report(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  #report(error: unknown): void {
    // Somebody compacted further by hand, or the engine is being closed: nothing is left to do.
    if (!isMusterError(error, "compacted") && !isMusterError(error, "closed")) {
      this.#log.warn({ err: error }, "could not compact the store's history: it is tried again at the next look");
    }
  }
}
