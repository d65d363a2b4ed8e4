/** The tree's one watch on the engine, and the watches of the tree that it feeds. */
import { isMusterError } from "../../base/errors.ts";
import { TREE_HISTORY_EVENTS, TREE_WATCH_RETRY_MS } from "../../base/tree-limits.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import { LongLoop } from "../../engine/long-loop.ts";
import type { Event, Revision } from "../../engine/model.ts";
import { Pause } from "../pause.ts";
import { BareFiles } from "./bare-files.ts";
import { LiveWatch } from "./live-watch.ts";
import type { TreeEvent, TreePath, TreeWatch, TreeWatchRequest } from "./model.ts";
import { OwnEvents } from "./own-events.ts";
import { EVERY_KEY, PastWatch } from "./past-watch.ts";
import { type Change, type DecodedEvent, decodeChange, expiryIn, NOTHING_REMOVED } from "./tree-decode.ts";
import { clearedError } from "./tree-errors.ts";
import { ACTION_KEY } from "./tree-layout.ts";
import { pathOfKey } from "./tree-path.ts";
import { type Interest, WatchHub } from "./watch-hub.ts";

export interface TreeWatcherOptions {
  readonly engine: Engine;
  /** Told of every time at which a node is to go, in ms since 1970. */
  readonly onExpiry: (expires: number) => void;
  /** Told when the watch on the engine broke, once until it runs again: it goes on where it was. */
  readonly onFailure: (error: unknown) => void;
  /** Told when changes have been missed, of which nobody was told: the engine has forgotten them. */
  readonly onGap: () => void;
  /** Told of every event that was read: others made most of them. */
  readonly onRead?: (event: TreeEvent) => void;
  /** What this process writes itself; absent: nothing. */
  readonly own?: OwnEvents;
}

export class TreeWatcher {
  readonly #options: TreeWatcherOptions;
  readonly #hub: WatchHub;
  readonly #own: OwnEvents;
  readonly #pause = new Pause();
  #watch: Watch;
  #bare = new BareFiles();
  #running: Promise<void> = Promise.resolve();
  /** Whether it was told that the watch is broken, and it does not run yet. */
  #isReported = false;
  #closed = false;

  /** Begins to follow the engine; every event after the call's moment is known to the watcher, or will be. */
  static async start(options: TreeWatcherOptions): Promise<TreeWatcher> {
    const startRevision = await recentRevision(options.engine);
    const watch = options.engine.watch({ ...EVERY_KEY, startRevision });
    const revision = await watch.createdRevision;
    const watcher = new TreeWatcher(options, watch, startRevision === 0 ? revision : startRevision - 1);
    watcher.#running = watcher.#run();
    return watcher;
  }

  private constructor(options: TreeWatcherOptions, watch: Watch, revision: Revision) {
    this.#options = options;
    this.#watch = watch;
    this.#own = options.own ?? new OwnEvents();
    this.#hub = new WatchHub(revision);
  }

  /**
   * Begins a watch. Nothing after its `index` is missed: what the engine has told meanwhile is in the history, the rest
   * comes. Error: `eventIndexCleared`.
   */
  async watch({
    path,
    recursive,
    waitIndex = 0,
    recentOnly = false,
    owner = path,
  }: TreeWatchRequest): Promise<TreeWatch> {
    const { engine } = this.#options;
    const { revision: index, compactRevision } = await engine.status();
    const interest: Interest = { path, recursive, index, from: waitIndex === 0 ? index + 1 : waitIndex };
    if (interest.from < this.#hub.history.oldestIndex) {
      const isThere = !recentOnly && interest.from >= compactRevision && (await isKept(engine, interest.from));
      if (!isThere) throw clearedError(interest.from, Math.max(compactRevision, interest.from + 1), index);
    }
    // What was asked meanwhile took time: from here on nothing is awaited.
    const { oldestIndex, newestIndex: until } = this.#hub.history;
    if (interest.from >= oldestIndex) return new LiveWatch(this.#hub.subscribe(interest), owner);
    const live = this.#hub.subscribe({ ...interest, from: until + 1 });
    return new PastWatch({ engine, interest, until, live, owner });
  }

  /** Whether it is known that nothing at, above or below a path was written after one index, up to another. */
  isUntouched(path: TreePath, span: { readonly after: Revision; readonly until: Revision }): boolean {
    return this.#hub.history.isUntouched(path, span);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.close();
    this.#pause.end();
    await this.#running;
    this.#hub.close();
  }

  async #run(): Promise<void> {
    /** What broke the watch that is to be made anew. */
    let failure: unknown;
    while (!this.#closed) {
      try {
        if (failure !== undefined) this.#goOn(failure);
        failure = undefined;
        for await (const message of this.#watch) {
          this.#isReported = false;
          const taking = message.kind === "events" ? this.#take(message) : undefined;
          if (taking !== undefined) await taking;
        }
        // The engine has ended the watch: it is closing.
        return;
      } catch (error) {
        if (this.#closed || isMusterError(error, "closed")) return;
        this.#watch.close();
        if (!this.#isReported) this.#options.onFailure(error);
        this.#isReported = true;
        // That history is gone stays true whatever is wrong besides.
        if (failure === undefined || isMusterError(error, "compacted")) failure = error;
        await this.#pause.wait(TREE_WATCH_RETRY_MS);
      }
    }
  }

  /**
   * Watches again: from the revision behind the last that was taken or, where that is gone, from the oldest that is whole.
   * Of the one that the engine is compacted to, deletes and the values before may be gone.
   */
  #goOn(failure: unknown): void {
    const next = this.#hub.history.newestIndex + 1;
    const gone = isMusterError(failure, "compacted") ? Number(failure.details.compactRevision) : 0;
    const startRevision = Math.max(next, gone + 1);
    const watch = this.#options.engine.watch({ ...EVERY_KEY, startRevision });
    this.#watch = watch;
    if (gone >= next) this.#tellGap(startRevision);
    const onRunning = () => {
      if (this.#watch === watch) this.#isReported = false;
    };
    watch.createdRevision.then(onRunning, () => undefined);
  }

  /** What was before `oldest` is not known: whoever waited for it is told so. */
  #tellGap(oldest: Revision): void {
    this.#bare = new BareFiles();
    this.#own.skip(oldest - 1);
    this.#hub.restart(oldest);
    this.#options.onGap();
  }

  /** Undefined where it is done already. */
  #take(change: Change): Promise<void> | undefined {
    this.#bare.follow(change.events);
    const event = this.#own.take(change.revision);
    if (event === undefined) return this.#takeRead(change);
    if (event.node.expires !== undefined) this.#options.onExpiry(event.node.expires);
    return this.#hub.publish(change.revision, [{ event, removed: NOTHING_REMOVED }]);
  }

  async #takeRead(change: Change): Promise<void> {
    const events = await this.#decode(change);
    const loop = new LongLoop();
    for (const event of change.events) {
      if (loop.isDue()) await loop.pause();
      const expires = expiryIn(event);
      if (expires !== undefined) this.#options.onExpiry(expires);
      if (isUntold(event)) this.#hub.noteUntold(change.revision);
    }
    for (const { event } of events ?? []) {
      if (loop.isDue()) await loop.pause();
      this.#options.onRead?.(event);
    }
    if (events === undefined) this.#tellGap(change.revision + 1);
    // Last: what the history has, the sweeper knows.
    else await this.#hub.publish(change.revision, events);
  }

  /** Undefined where the revision cannot be read, and never will be: its record is damaged. */
  async #decode(change: Change): Promise<readonly DecodedEvent[] | undefined> {
    try {
      return await decodeChange(this.#options.engine, change, this.#bare);
    } catch (error) {
      if (isMusterError(error) && error.code !== "internal") throw error;
      this.#options.onFailure(error);
      return undefined;
    }
  }
}

/** Whether a change is of a key that v2 cannot name: it makes no event, but may imply directories. */
function isUntold({ kv }: Event): boolean {
  return kv.key[0] !== 0 && pathOfKey(kv.key) === undefined;
}

/**
 * From which revision on a watcher that starts gathers history; 0: from now on. Over a remote store others serve the same
 * clients: one that follows them must not have to ask the store for each event, only because this process is younger.
 */
async function recentRevision(engine: Engine): Promise<Revision> {
  if (engine.endpoints === undefined) return 0;
  const { revision } = await engine.status();
  const first = Math.max(1, revision - TREE_HISTORY_EVENTS + 1);
  return (await oldestKept(engine, first)) ?? 0;
}

/**
 * Whether the engine has its history from a revision on: a remote one is sure of it only when it is asked. Of the revision
 * that it is compacted to an older etcd has the puts, but not the deletes: so the one before must be there, too.
 */
async function isKept(engine: Engine, revision: Revision): Promise<boolean> {
  const oldest = engine.endpoints === undefined ? revision : Math.max(revision - 1, 1);
  return (await oldestKept(engine, oldest)) === oldest;
}

/** The first revision from this one on of which the engine has the history; undefined where it does not say. */
async function oldestKept(engine: Engine, revision: Revision): Promise<Revision | undefined> {
  try {
    await engine.range({ key: ACTION_KEY, revision, keysOnly: true });
    return revision;
  } catch (error) {
    if (!isMusterError(error, "compacted")) throw error;
    const { compactRevision } = error.details;
    return typeof compactRevision === "number" ? compactRevision + 1 : undefined;
  }
}
