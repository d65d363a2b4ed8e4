/** A watch of the tree that begins before its latest events: what is older comes from the engine's history. */
import { isMusterError } from "../../base/errors.ts";
import { TREE_WATCH_RETRY_MS } from "../../base/tree-limits.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import { LongLoop } from "../../engine/long-loop.ts";
import type { Revision, WatchRequest } from "../../engine/model.ts";
import { Pause } from "../pause.ts";
import { inTurn } from "./live-watch.ts";
import type { TreeEvent, TreeWatch } from "./model.ts";
import { decodeChange } from "./tree-decode.ts";
import { clearedError } from "./tree-errors.ts";
import { concerns, type Interest, type Subscription } from "./watch-hub.ts";

/** What the tree is told of by the engine. */
export const EVERY_KEY = { key: new Uint8Array(0), end: null, prevKv: true } as const satisfies WatchRequest;

export interface PastWatchOptions {
  readonly engine: Engine;
  readonly interest: Interest;
  /** What comes from the engine ends with this revision. */
  readonly until: Revision;
  /** What comes then. */
  readonly live: Subscription;
  readonly owner: string;
}

/** Iterating throws `eventIndexCleared` where the engine forgets its history meanwhile; a lost connection it outlasts. */
export class PastWatch implements TreeWatch {
  readonly #options: PastWatchOptions;
  readonly #pause = new Pause();
  #watch: Watch | undefined;
  #closed = false;

  constructor(options: PastWatchOptions) {
    this.#options = options;
  }

  get index(): Revision {
    return this.#options.interest.index;
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
    this.#pause.end();
    this.#options.live.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TreeEvent> {
    const { interest, live, owner } = this.#options;
    let next = interest.from;
    try {
      while (!this.#closed) {
        try {
          for await (const { revision, events } of this.#read(next)) {
            yield* events;
            next = revision + 1;
          }
          break;
        } catch (error) {
          if (!isMusterError(error, "storeUnavailable")) throw this.#told(error, next);
        }
        await this.#pause.wait(TREE_WATCH_RETRY_MS);
      }
      yield* inTurn(live, owner);
    } finally {
      this.close();
    }
  }

  /** Whole revisions, so that one that could not be read whole is read again. */
  async *#read(from: Revision): AsyncGenerator<{ readonly revision: Revision; readonly events: readonly TreeEvent[] }> {
    const { engine, interest, until } = this.#options;
    const watch = engine.watch({ ...EVERY_KEY, startRevision: from });
    this.#watch = watch;
    for await (const message of watch) {
      if (message.kind !== "events") continue;
      // A store that others share may have no change of ours at `until` itself.
      if (message.revision > until) return;
      const events: TreeEvent[] = [];
      const loop = new LongLoop();
      for (const decoded of await decodeChange(engine, message)) {
        if (loop.isDue()) await loop.pause();
        if (concerns(interest, decoded)) events.push(decoded.event);
      }
      yield { revision: message.revision, events };
      if (message.revision === until) return;
    }
  }

  #told(error: unknown, next: Revision): unknown {
    if (!isMusterError(error, "compacted")) return error;
    return clearedError(next, Number(error.details.compactRevision ?? next + 1), this.index);
  }
}
