import { MusterError } from "../../base/errors.ts";
import type { Watch } from "../engine.ts";
import type { Event, Revision, WatchMessage, WatchRequest } from "../model.ts";
import { type Change, copyOf, inRange, keyAt } from "./memory-history.ts";
import type { Moment } from "./memory-range.ts";

/** A place in the history that moves on as its reader reads; nothing is queued, so a slow reader costs nothing. */
export class MemoryWatch implements Watch {
  readonly createdRevision: Promise<Revision>;
  readonly #request: WatchRequest;
  readonly #moment: () => Moment;
  readonly #onClose: (watch: MemoryWatch) => void;
  #next: Revision;
  /** Set where the history that was asked for had gone when the watch was made. */
  readonly #goneAtStart: boolean;
  #progressWanted = false;
  #closed = false;
  #wake: () => void = () => {};

  constructor(request: WatchRequest, moment: () => Moment, onClose: (watch: MemoryWatch) => void) {
    const { revision, compactRevision } = moment();
    this.#request = { ...request, key: Uint8Array.from(request.key) };
    this.#moment = moment;
    this.#onClose = onClose;
    this.#next = request.startRevision || revision + 1;
    this.#goneAtStart = this.#next < compactRevision;
    this.createdRevision = Promise.resolve(revision);
  }

  /** The engine calls it after every change. */
  wake(): void {
    this.#wake();
  }

  requestProgress(): void {
    this.#progressWanted = true;
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#onClose(this);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchMessage> {
    try {
      while (!this.#closed) {
        const message = this.#take();
        if (message === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        } else {
          yield message;
        }
      }
    } finally {
      this.close();
    }
  }

  /** The first revision that holds events for this reader, or the progress that it asked for, or nothing yet. */
  #take(): WatchMessage | undefined {
    const moment = this.#moment();
    const due = moment.history.filter((change) => change.kv.modRevision >= this.#next && this.#concerns(change));
    const revision = due[0]?.kv.modRevision;
    if (this.#goneAtStart || (revision !== undefined && revision < moment.compactRevision)) {
      throw new MusterError(
        "compacted",
        `watch from a revision that is kept, not "${this.#next}": the store is compacted to ${moment.compactRevision}`,
        { details: { compactRevision: moment.compactRevision } },
      );
    }
    if (revision !== undefined) {
      this.#next = revision + 1;
      const changes = due.filter((change) => change.kv.modRevision === revision);
      return { kind: "events", revision, events: changes.map((change) => this.#event(change, moment)) };
    }
    if (this.#progressWanted) {
      this.#progressWanted = false;
      return { kind: "progress", revision: moment.revision };
    }
    return undefined;
  }

  #concerns({ kind, kv }: Change): boolean {
    const filtered = kind === "put" ? this.#request.noPut : this.#request.noDelete;
    return filtered !== true && inRange(kv.key, this.#request);
  }

  #event({ kind, kv }: Change, { history, compactRevision }: Moment): Event {
    const before = kv.modRevision - 1;
    const previous =
      this.#request.prevKv === true && before >= compactRevision ? keyAt(history, kv.key, before) : undefined;
    return { kind, kv: copyOf(kv), prevKv: previous === undefined ? undefined : copyOf(previous) };
  }
}
