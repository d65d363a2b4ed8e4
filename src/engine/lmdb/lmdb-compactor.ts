/**
 * Frees what lies before the compaction mark, step by step in the background. The mark itself is durable and counts at
 * once; if the process dies meanwhile, the next one goes on from it.
 */
import { setTimeout as delay } from "node:timers/promises";
import {
  COMPACTION_FREED_OF_WRITTEN,
  COMPACTION_PAUSE_MS,
  COMPACTION_RETRY_MS,
  COMPACTION_STEP_BYTES,
  COMPACTION_STEP_CHANGES,
} from "../../base/compaction-limits.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Revision } from "../model.ts";
import type { Draft } from "./lmdb-draft.ts";
import { changeKey, decodeChangeKey, decodeReplaced } from "./lmdb-schema.ts";
import type { LmdbWriter } from "./lmdb-writer.ts";

export class LmdbCompactor {
  readonly #writer: LmdbWriter;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  /** Revisions that long reads under way still look at, and how many do. */
  readonly #pins = new Map<Revision, number>();
  #running: Promise<void> | undefined;
  #again = false;
  /** How many changes had been written when the last step looked. */
  #written = 0;

  constructor(writer: LmdbWriter, log: Log) {
    this.#writer = writer;
    this.#log = log;
  }

  /** Makes sure that all before the mark gets freed. */
  start(): void {
    if (this.#stopping.signal.aborted) {
      return;
    }
    this.#again = true;
    this.#running ??= this.#run();
  }

  /** Resolves when all that may be freed is, or the compactor was stopped. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Keeps what is visible at a revision until the answer is called: a long read goes on in later turns. */
  pin(revision: Revision): () => void {
    this.#pins.set(revision, (this.#pins.get(revision) ?? 0) + 1);
    return () => {
      const left = (this.#pins.get(revision) ?? 1) - 1;
      if (left > 0) {
        this.#pins.set(revision, left);
      } else {
        this.#pins.delete(revision);
        this.start();
      }
    };
  }

  /** Stops after the step under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#again && !this.#stopping.signal.aborted) {
        this.#again = false;
        await this.#freeAll();
      }
    } finally {
      this.#running = undefined;
    }
  }

  async #freeAll(): Promise<void> {
    this.#written = this.#writer.changes;
    try {
      for (let more = true; more && !this.#stopping.signal.aborted; ) {
        // One step after the other: each rides along with whatever else is written, but not with all of that.
        await this.#writer.submitBehind((draft) => {
          more = this.#step(draft);
        });
        if (more && this.#writer.changes > this.#written) {
          await this.#wait(COMPACTION_PAUSE_MS);
        }
      }
    } catch (error) {
      if (!isMusterError(error, "closed")) {
        this.#log.warn({ err: error }, "could not free compacted history: it is tried again");
        this.#again = true;
        await this.#wait(COMPACTION_RETRY_MS);
      }
    }
  }

  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {});
  }

  /**
   * Frees the oldest changes; true if there may be more. It frees somewhat more than was written since the last step, or
   * history would grow for as long as more is written at a time than one batch frees.
   */
  #step(draft: Draft): boolean {
    const before = Math.min(draft.durableCompactRevision, ...this.#pins.keys());
    const enough = Math.ceil((this.#writer.changes - this.#written) * COMPACTION_FREED_OF_WRITTEN);
    this.#written = this.#writer.changes;
    let freed = 0;
    do {
      const limit = freed === 0 ? COMPACTION_STEP_CHANGES : Math.min(enough - freed, COMPACTION_STEP_CHANGES);
      const { changes, bytes } = freeOldest(draft, before, limit);
      freed += changes;
      if (changes < limit && bytes < COMPACTION_STEP_BYTES) {
        return false;
      }
      // The clock is looked at after each batch: values may be large.
    } while (freed < enough && !draft.isOver(draft.slice.unitsPerLook));
    return true;
  }
}

/** Frees some of the oldest changes before a revision; answers how many, and how many bytes they had. */
function freeOldest(
  draft: Draft,
  before: Revision,
  limit: number,
): { readonly changes: number; readonly bytes: number } {
  if (before <= 0) {
    return { changes: 0, bytes: 0 };
  }
  const range = { start: changeKey(0, 0), end: changeKey(before, 0) };
  const oldest: { readonly key: Buffer; readonly value: Buffer }[] = [];
  let bytes = 0;
  for (const entry of draft.tables.revs.getRange({ ...range, limit })) {
    oldest.push(entry);
    bytes += entry.value.length;
    if (bytes >= COMPACTION_STEP_BYTES) {
      break;
    }
  }
  for (const { key, value } of oldest) {
    const replaced = decodeReplaced(value);
    if (replaced !== undefined) {
      const { main, sub } = decodeChangeKey(key);
      draft.forgetPast(replaced.key, [replaced.modRevision, main, sub]);
    }
    draft.remove(draft.tables.revs, key);
  }
  return { changes: oldest.length, bytes };
}
