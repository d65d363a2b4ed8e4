/** Tells events to those who wait for them; who waits for another path costs an event nothing. */
import { MusterError } from "../../base/errors.ts";
import { TREE_HISTORY_EVENTS, TREE_WATCH_QUEUE_EVENTS } from "../../base/tree-limits.ts";
import { LongLoop } from "../../engine/long-loop.ts";
import type { Revision } from "../../engine/model.ts";
import { EventHistory } from "./event-history.ts";
import type { TreeEvent, TreePath } from "./model.ts";
import type { DecodedEvent } from "./tree-decode.ts";
import { clearedError } from "./tree-errors.ts";
import { ancestorsOf, isBelow, isHidden, ROOT } from "./tree-path.ts";
import { WatchQueue, type WatchQueueOptions } from "./watch-queue.ts";

export interface Interest {
  readonly path: TreePath;
  readonly recursive: boolean;
  /** Events with at least this index. */
  readonly from: Revision;
  /** The store's index when the watch was made: what happened up to then is told by the rule for the past. */
  readonly index: Revision;
}

/** One who waits. */
export class Subscription implements WatchQueueOptions {
  readonly limit = TREE_WATCH_QUEUE_EVENTS;
  readonly interest: Interest;
  readonly queue: WatchQueue<TreeEvent>;
  readonly #close: (subscription: Subscription) => void;

  constructor(interest: Interest, close: (subscription: Subscription) => void) {
    this.interest = interest;
    this.queue = new WatchQueue(this);
    this.#close = close;
  }

  overflow(): MusterError {
    return tooSlow(this.interest.path);
  }

  close(): void {
    this.#close(this);
  }
}

export class WatchHub {
  #history: EventHistory;
  readonly #subscriptions = new Map<TreePath, Set<Subscription>>();

  constructor(revision: Revision) {
    this.#history = new EventHistory(revision);
  }

  get history(): Pick<EventHistory, "oldestIndex" | "newestIndex" | "isUntouched"> {
    return this.#history;
  }

  /** Begins to tell what is of interest: first what the history has of it, then what comes, with no gap between. */
  subscribe(interest: Interest): Subscription {
    const subscription = new Subscription(interest, this.#unsubscribe);
    for (const decoded of this.#history.from(interest.from)) {
      if (concerns(interest, decoded)) subscription.queue.push(decoded.event);
    }
    const others = this.#subscriptions.get(interest.path) ?? new Set();
    this.#subscriptions.set(interest.path, others.add(subscription));
    return subscription;
  }

  /**
   * Takes in the events of a revision and tells them: at once, but for more than the history keeps. Whoever subscribes
   * while those are told finds none of them in it, and asks from the next revision on. Undefined where all are told.
   */
  publish(revision: Revision, events: readonly DecodedEvent[]): Promise<void> | undefined {
    this.#history.add(revision, events);
    if (this.#subscriptions.size === 0) return undefined;
    if (events.length > TREE_HISTORY_EVENTS) return this.#tellMany(events);
    for (const decoded of events) this.#tell(decoded);
    return undefined;
  }

  async #tellMany(events: readonly DecodedEvent[]): Promise<void> {
    const loop = new LongLoop();
    for (const decoded of events) {
      if (loop.isDue()) await loop.pause();
      this.#tell(decoded);
    }
  }

  /** A revision that is to be published changes what some directories hold, and no event says which. */
  noteUntold(revision: Revision): void {
    this.#history.noteUntold(revision);
  }

  /** Begins anew at a revision, before which events have been missed: ends every watch that wanted them. */
  restart(oldest: Revision): void {
    this.#history = new EventHistory(oldest - 1);
    for (const subscription of [...this.#all()]) {
      const { from } = subscription.interest;
      if (from >= oldest) continue;
      subscription.queue.fail(clearedError(from, oldest, oldest - 1));
      subscription.close();
    }
  }

  /** Ends every watch. */
  close(): void {
    for (const { queue } of this.#all()) queue.end();
    this.#subscriptions.clear();
  }

  #tell(decoded: DecodedEvent): void {
    const { path } = decoded.event.node;
    const places = new Set([ROOT, ...ancestorsOf(path), path]);
    for (const place of places) this.#tellAt(place, decoded);
    for (const place of this.#watchedIn(decoded.removed)) {
      if (!places.has(place)) this.#tellAt(place, decoded);
    }
  }

  #tellAt(place: TreePath, decoded: DecodedEvent): void {
    for (const { interest, queue } of this.#subscriptions.get(place) ?? []) {
      if (decoded.event.index >= interest.from && concerns(interest, decoded)) queue.push(decoded.event);
    }
  }

  /** The paths that somebody watches, found by going through the fewer: a delete may take a million away. */
  *#watchedIn(removed: ReadonlySet<TreePath>): Generator<TreePath> {
    const [fewer, more] =
      removed.size < this.#subscriptions.size ? [removed, this.#subscriptions] : [this.#subscriptions, removed];
    for (const path of fewer.keys()) {
      if (more.has(path)) yield path;
    }
  }

  readonly #unsubscribe = (subscription: Subscription): void => {
    subscription.queue.end();
    const { path } = subscription.interest;
    const others = this.#subscriptions.get(path);
    others?.delete(subscription);
    if (others?.size === 0) this.#subscriptions.delete(path);
  };

  *#all(): Generator<Subscription> {
    for (const subscriptions of this.#subscriptions.values()) yield* subscriptions;
  }
}

/**
 * Whether a watch is told of an event. What came after it was made must lie at or (for a recursive one) below its path
 * and not be hidden from it, or have taken its path away. In the past, as in etcd v2's history, nothing is hidden, and
 * the delete of a directory is told to watches on any path below it.
 */
export function concerns(interest: Interest, { event, removed }: DecodedEvent): boolean {
  const { path } = event.node;
  if (event.refresh === true) return false;
  if (path === interest.path) return true;
  const sees = interest.recursive && isBelow(path, interest.path);
  if (event.index > interest.index) {
    return (sees && !isHidden(path, interest.path)) || removed.has(interest.path);
  }
  return sees || (isDirectoryRemoval(event) && isBelow(interest.path, path));
}

function isDirectoryRemoval({ action, prevNode }: TreeEvent): boolean {
  return (action === "delete" || action === "expire") && prevNode?.kind === "directory";
}

function tooSlow(path: TreePath): MusterError {
  return new MusterError(
    "eventIndexCleared",
    `Read faster, or wait anew from the last index you saw: ${TREE_WATCH_QUEUE_EVENTS} events wait for the reader of ${JSON.stringify(path)}`,
  );
}
