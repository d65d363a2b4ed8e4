/**
 * Compacts a store by itself, so that history does not grow for ever. What it keeps is both a time and a number of
 * revisions, whichever is more: a busy store keeps an hour, a quiet one everything. Above both stands the disk that history
 * may take: a store that is overwritten without pause keeps less, or it would fill its disk.
 */
import type { Clock } from "../base/clock.ts";
import {
  COMPACTION_HISTORY_BYTES,
  COMPACTION_HISTORY_OF_LIVE,
  COMPACTION_INTERVAL_MS,
  COMPACTION_KEEP_MS,
  COMPACTION_KEEP_REVISIONS,
  COMPACTION_LEAST_REVISIONS,
} from "../base/compaction-limits.ts";
import { isMusterError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import type { Engine } from "./engine.ts";
import type { Revision } from "./model.ts";

export interface AutoCompactorOptions {
  readonly engine: Pick<Engine, "status" | "compact" | "diskUse">;
  readonly clock: Clock;
  readonly log?: Log;
  /** History to keep, in ms; default COMPACTION_KEEP_MS. */
  readonly keepMs?: number;
  /** Revisions to keep; default COMPACTION_KEEP_REVISIONS. */
  readonly keepRevisions?: number;
  /** Bytes on disk that history may take, or more where much lives (see COMPACTION_HISTORY_OF_LIVE); default COMPACTION_HISTORY_BYTES. */
  readonly historyBytes?: number;
  /** Time between two looks, in ms; default COMPACTION_INTERVAL_MS. */
  readonly intervalMs?: number;
}

interface Sample {
  readonly time: number;
  readonly revision: Revision;
}

/** Into how many steps the time to keep is divided. */
const SAMPLES = 360;

export class AutoCompactor {
  readonly #options: AutoCompactorOptions;
  readonly #log: Log;
  /** Which revision the store was at, look by look: all that was there at a sample is at least as old as it. */
  #samples: Sample[] = [];
  /** The store's revision when history was last found to take no more disk than it may. */
  #fitsAt: Revision | undefined;
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

  /** Forgets what is neither young enough nor among the last revisions, or more than the disk should hold. Errors: the engine's. */
  async look(): Promise<void> {
    const { engine, clock, keepRevisions = COMPACTION_KEEP_REVISIONS } = this.#options;
    const { revision, compactRevision } = await engine.status();
    this.#note({ time: clock.monotonic(), revision });
    const byAge = Math.min(this.#oldEnough(), revision - keepRevisions);
    const bySize = Math.min(
      await this.#tooMuch(revision),
      revision - Math.min(keepRevisions, COMPACTION_LEAST_REVISIONS),
    );
    const target = Math.max(byAge, bySize);
    if (target > compactRevision) {
      await engine.compact(target);
      this.#log.debug({ revision: target, newest: revision }, "compacted the store's history");
    }
  }

  /** The newest revision that is old enough to be forgotten, or 0. */
  #oldEnough(): Revision {
    const [oldest] = this.#samples;
    return oldest !== undefined && oldest.time <= this.#options.clock.monotonic() - this.#keepMs ? oldest.revision : 0;
  }

  /** Up to which revision history has to go so that the rest of it takes no more disk than it may; 0 where it does not. */
  async #tooMuch(newest: Revision): Promise<Revision> {
    // To ask what is on disk costs some hundred µs: too much for a store that nobody writes to.
    if (newest === this.#fitsAt) {
      return 0;
    }
    const { engine, historyBytes = COMPACTION_HISTORY_BYTES } = this.#options;
    const disk = await engine.diskUse?.();
    const most = Math.max(historyBytes, (disk?.liveBytes ?? 0) * COMPACTION_HISTORY_OF_LIVE);
    if (disk === undefined || disk.historyBytes <= most) {
      this.#fitsAt = newest;
      return 0;
    }
    return newest - Math.floor((newest - disk.oldestRevision + 1) * (most / disk.historyBytes));
  }

  /** Takes a sample, if the last one is not too near, and drops those that will never count again. */
  #note(sample: Sample): void {
    const last = this.#samples.at(-1);
    if (last === undefined || sample.time - last.time >= this.#keepMs / SAMPLES) {
      this.#samples.push(sample);
    }
    // Of the samples that are old enough, only the newest counts.
    const old = this.#samples.findLastIndex(({ time }) => time <= sample.time - this.#keepMs);
    this.#samples = this.#samples.slice(Math.max(old, 0));
  }

  get #keepMs(): number {
    return this.#options.keepMs ?? COMPACTION_KEEP_MS;
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
