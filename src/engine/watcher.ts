/** One watch: a bounded queue while its reader keeps up, a place in history while it does not. */
import type { Bytes } from "../base/bytes.ts";
import { MusterError } from "../base/errors.ts";
import { WATCH_MESSAGE_BYTES, WATCH_QUEUE_BYTES, WATCH_QUEUE_EVENTS } from "../base/limits.ts";
import type { Watch } from "./engine.ts";
import { covers } from "./key-range.ts";
import type { Revision, WatchMessage, WatchRequest } from "./model.ts";
import { turns } from "./turns.ts";
import type { Keeper, WatchBudget } from "./watch-budget.ts";
import type { WatchHistory } from "./watch-history.ts";
import { type Queued, type SharedRevision, ShownRevision } from "./watch-messages.ts";

export interface WatcherOptions {
  readonly request: WatchRequest;
  /** The store's newest revision when the watch is made. */
  readonly createdRevision: Revision;
  readonly history: WatchHistory;
  /** The revision up to which everything has been offered. */
  readonly published: () => Revision;
  readonly onClose: () => void;
  readonly budget: WatchBudget;
}

export class Watcher implements Watch, Keeper {
  readonly createdRevision: Promise<Revision>;
  readonly #options: WatcherOptions;
  /** No event before this one concerns the watch. */
  readonly #from: Revision;
  #queue: Queued[] = [];
  #queuedEvents = 0;
  #queuedBytes = 0;
  /** The revision from which on history has to be read; undefined while all that is wanted is offered or queued. */
  #behindFrom: Revision | undefined;
  /** Which change of that revision is read next, and what has been read of it. */
  #behindSub = 0;
  #part: ShownRevision | undefined;
  #wantsProgress = false;
  #wake: () => void = () => {};
  #iterated = false;
  #closed = false;

  constructor(options: WatcherOptions) {
    const { startRevision = 0 } = options.request;
    this.#options = options;
    this.createdRevision = Promise.resolve(options.createdRevision);
    this.#from = startRevision > 0 ? startRevision : options.createdRevision + 1;
    this.#behindFrom = this.#from <= options.published() ? this.#from : undefined;
  }

  /** Takes the changes of a revision that concern the watch's keys. */
  offer(change: SharedRevision): void {
    if (this.#behindFrom !== undefined || change.revision < this.#from) {
      return;
    }
    const queued = change.for(this.#options.request);
    if (queued === undefined) {
      return;
    }
    if (
      this.#queuedEvents + queued.events > WATCH_QUEUE_EVENTS ||
      this.#queuedBytes + queued.bytes > WATCH_QUEUE_BYTES
    ) {
      this.#behindFrom = change.revision;
    } else {
      this.#push(queued);
    }
    this.#wake();
  }

  /** Makes known that changes from `revision` on were not offered. */
  fallBehind(revision: Revision): void {
    if (this.#behindFrom === undefined && this.#from <= this.#options.published()) {
      this.#behindFrom = Math.max(revision, this.#from);
      this.#wake();
    }
  }

  /** The queue is empty while history is being read, so this never comes between a read and what follows it. */
  giveUp(): void {
    const [first] = this.#queue;
    if (first === undefined) {
      return;
    }
    this.#queue = [];
    this.#queuedEvents = 0;
    this.#queuedBytes = 0;
    this.#behindFrom = first.message.revision;
    this.#behindSub = 0;
    this.#part = undefined;
  }

  ready(): WatchMessage | undefined {
    return this.#take();
  }

  requestProgress(): void {
    this.#wantsProgress = true;
    this.#wake();
  }

  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#queue = [];
      this.#options.budget.release(this);
      this.#part = undefined;
      this.#options.onClose();
      this.#wake();
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchMessage> {
    if (this.#iterated) {
      throw new MusterError("internal", "Report this defect: a watch is iterated twice");
    }
    this.#iterated = true;
    return this.#messages();
  }

  async *#messages(): AsyncGenerator<WatchMessage> {
    try {
      while (!this.#closed) {
        const message = this.#take();
        if (message !== undefined) {
          yield message;
        } else if (this.#behindFrom !== undefined) {
          // One slice a turn, whoever's: else many watches that are behind would hold the event loop together.
          await turns.next();
          if (!this.#closed) {
            await this.#readHistory(this.#behindFrom);
          }
        } else if (this.#wantsProgress) {
          this.#wantsProgress = false;
          yield { kind: "progress", revision: this.#progress() };
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  /** A new watch may know of a revision that is not published yet: up to there it wants nothing. */
  #progress(): Revision {
    const { published, createdRevision } = this.#options;
    return Math.max(published(), Math.min(this.#from - 1, createdRevision));
  }

  #take(): WatchMessage | undefined {
    const first = this.#queue.shift();
    if (first !== undefined) {
      this.#queuedEvents -= first.events;
      this.#queuedBytes -= first.bytes;
      this.#options.budget.remove(this, first.bytes + WATCH_MESSAGE_BYTES);
    }
    return first?.message;
  }

  /**
   * Goes on in history by one piece. What is offered meanwhile is read after it. A revision that comes in several pieces
   * is kept until it is whole.
   */
  async #readHistory(from: Revision): Promise<void> {
    const { request, history, published } = this.#options;
    const wants = (key: Bytes) => covers(request, key);
    const reading = history.read({ from, fromSub: this.#behindSub, to: published(), wants });
    const piece = await reading.catch((error: unknown) => this.#unlessClosed(error));
    if (piece === undefined || this.#closed) {
      return;
    }
    for (const { revision, events } of piece.revisions) {
      if (this.#part?.revision !== revision) {
        this.#pushPart();
      }
      this.#part ??= new ShownRevision(revision);
      this.#part.add(events, request);
    }
    this.#behindFrom = piece.next > published() ? undefined : piece.next;
    this.#behindSub = piece.nextSub ?? 0;
    if (this.#behindSub === 0) {
      this.#pushPart();
    }
  }

  /** Nobody asks any more why the store cannot be read. */
  #unlessClosed(error: unknown): undefined {
    if (!this.#closed) {
      throw error;
    }
  }

  #pushPart(): void {
    const queued = this.#part?.toQueue();
    this.#part = undefined;
    if (queued !== undefined) {
      this.#push(queued);
    }
  }

  #push(queued: Queued): void {
    this.#queue.push(queued);
    this.#queuedEvents += queued.events;
    this.#queuedBytes += queued.bytes;
    this.#options.budget.add(this, queued.bytes + WATCH_MESSAGE_BYTES);
  }
}
