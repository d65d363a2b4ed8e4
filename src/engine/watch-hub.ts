/**
 * Watches of a local engine. A reader that keeps up is served from memory as changes are made durable; one that falls
 * behind is served from history until it has caught up, so that it costs bounded memory and misses nothing.
 */
import { MusterError } from "../base/errors.ts";
import type { Watch } from "./engine.ts";
import type { Event, Revision, WatchRequest } from "./model.ts";
import type { RevisionEvents, WatchHistory } from "./watch-history.ts";
import { Watcher } from "./watcher.ts";
import { WatcherIndex } from "./watcher-index.ts";

export class WatchHub {
  readonly #history: WatchHistory;
  readonly #index = new WatcherIndex<Watcher>();
  #revision: Revision;
  #closed = false;

  /** `revision` is the store's newest: events come from the next one on. */
  constructor(history: WatchHistory, revision: Revision) {
    this.#history = history;
    this.#revision = revision;
  }

  /** Everything up to this revision has been published. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Whether anybody watches: where nobody does, events need not be made. */
  get isWatched(): boolean {
    return this.#index.size > 0;
  }

  /**
   * Starts a watch; `createdRevision` is the store's newest revision at this moment, which may be beyond what has been
   * published. Error: `closed`.
   */
  watch(request: WatchRequest, createdRevision: Revision): Watch {
    if (this.#closed) {
      throw new MusterError("closed", "Open the engine first: it is closed");
    }
    const watcher = new Watcher({
      request,
      createdRevision,
      history: this.#history,
      published: () => this.#revision,
      onClose: () => this.#index.remove(request, watcher),
    });
    this.#index.add(request, watcher);
    return watcher;
  }

  /** Hands out the changes of the next revision; they are durable. */
  publish(change: RevisionEvents): void {
    const perWatcher = new Map<Watcher, Event[]>();
    for (const event of change.events) {
      for (const watcher of this.#index.find(event.kv.key)) {
        const events = perWatcher.get(watcher);
        if (events === undefined) {
          perWatcher.set(watcher, [event]);
        } else {
          events.push(event);
        }
      }
    }
    this.#revision = change.revision;
    for (const [watcher, events] of perWatcher) {
      watcher.offer({ revision: change.revision, events });
    }
  }

  /** Makes known that the store is at `revision`; what was not published since the last time is read from history. */
  advance(revision: Revision): void {
    if (revision > this.#revision) {
      const missed = this.#revision + 1;
      this.#revision = revision;
      for (const watcher of this.#index.all()) {
        watcher.fallBehind(missed);
      }
    }
  }

  /** Ends all watches: their iterations stop. */
  close(): void {
    this.#closed = true;
    for (const watcher of [...this.#index.all()]) {
      watcher.close();
    }
  }
}
