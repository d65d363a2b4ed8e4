/**
 * Watches of a local engine. A reader that keeps up is served from memory as changes are made durable; one that falls
 * behind is served from history until it has caught up, so that it costs bounded memory and misses nothing.
 */

import type { Bytes } from "../base/bytes.ts";
import { MusterError } from "../base/errors.ts";
import { WATCH_QUEUES_BYTES } from "../base/limits.ts";
import type { Watch } from "./engine.ts";
import type { Event, Revision, WatchRequest } from "./model.ts";
import { WatchBudget } from "./watch-budget.ts";
import type { RevisionEvents, WatchHistory } from "./watch-history.ts";
import { SharedRevision } from "./watch-messages.ts";
import { Watcher } from "./watcher.ts";
import { WatcherIndex } from "./watcher-index.ts";

/** A revision that is made known: with its events or, where they are very many, only with whom they concern. */
export type Published =
  | (RevisionEvents & { readonly touched?: undefined })
  | { readonly revision: Revision; readonly events?: undefined; readonly touched: Touched };

/** The watchers that a very large revision concerns, gathered key by key while it is being made. */
export class Touched {
  readonly #index: WatcherIndex<Watcher>;
  readonly #watchers = new Set<Watcher>();

  constructor(index: WatcherIndex<Watcher>) {
    this.#index = index;
  }

  get watchers(): Iterable<Watcher> {
    return this.#watchers;
  }

  /** Notes a key that was changed. */
  touch(key: Bytes): void {
    if (this.#watchers.size < this.#index.size) {
      for (const watcher of this.#index.find(key)) {
        this.#watchers.add(watcher);
      }
    }
  }

  /** Notes a watcher that came while the revision was being made, and may want what was changed before. */
  join(watcher: Watcher): void {
    this.#watchers.add(watcher);
  }

  leave(watcher: Watcher): void {
    this.#watchers.delete(watcher);
  }
}

export class WatchHub {
  readonly #history: WatchHistory;
  readonly #index = new WatcherIndex<Watcher>();
  readonly #budget: WatchBudget;
  #revision: Revision;
  /** Of the very large revision that is being made, if one is. */
  #touched: Touched | undefined;
  #closed = false;

  /** `revision` is the store's newest: events come from the next one on. */
  constructor(history: WatchHistory, revision: Revision, budget = new WatchBudget(WATCH_QUEUES_BYTES)) {
    this.#budget = budget;
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
      budget: this.#budget,
      published: () => this.#revision,
      onClose: () => {
        this.#index.remove(request, watcher);
        this.#touched?.leave(watcher);
      },
    });
    this.#index.add(request, watcher);
    this.#touched?.join(watcher);
    return watcher;
  }

  /** Begins to gather whom the revision that is being made concerns, until it is published. There is one at a time. */
  follow(): Touched {
    this.#touched = new Touched(this.#index);
    return this.#touched;
  }

  /** Gives up the revision that was being made. */
  unfollow(): void {
    this.#touched = undefined;
  }

  /** Hands out the changes of the next revision; they are durable. Those of a very large one are read from history. */
  publish(change: Published): void {
    if (change.touched !== undefined) {
      this.#revision = change.revision;
      for (const watcher of change.touched.watchers) {
        watcher.fallBehind(change.revision);
      }
      this.unfollow();
      return;
    }
    this.#revision = change.revision;
    const [first] = change.events;
    if (first !== undefined && change.events.length === 1) {
      const shared = new SharedRevision(change);
      for (const watcher of this.#index.find(first.kv.key)) {
        watcher.offer(shared);
      }
    } else {
      this.#publishMany(change);
    }
  }

  /** Events of several keys: each watcher may be told of others. Those that are told of all share the message. */
  #publishMany(change: RevisionEvents): void {
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
    const all = new SharedRevision(change);
    for (const [watcher, events] of perWatcher) {
      const isAll = events.length === change.events.length;
      watcher.offer(isAll ? all : new SharedRevision({ revision: change.revision, events }));
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
