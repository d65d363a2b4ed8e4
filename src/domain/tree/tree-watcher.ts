/** The tree's one watch on the engine, and the watches of the tree that it feeds. */
import { isMusterError } from "../../base/errors.ts";
import { fairTurns } from "../../base/fair-turns.ts";
import { TREE_WATCH_RETRY_MS } from "../../base/limits.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import { LongLoop } from "../../engine/long-loop.ts";
import type { Event, Revision } from "../../engine/model.ts";
import { BareFiles } from "./bare-files.ts";
import { firstEvents } from "./first-events.ts";
import type { FirstEventListener, TreeEvent, TreePath, TreeWatch, TreeWatchRequest } from "./model.ts";
import { type Change, decodeChange, expiryIn } from "./tree-decode.ts";
import { clearedError } from "./tree-errors.ts";
import { pathOfKey } from "./tree-path.ts";
import { concerns, type Interest, type Subscription, WatchHub } from "./watch-hub.ts";
import type { QueueReader } from "./watch-queue.ts";

const EVERY_KEY = { key: new Uint8Array(0), end: null, prevKv: true } as const;

export interface TreeWatcherOptions {
  readonly engine: Engine;
  /** Told of every time at which a node is to go, in ms since 1970. */
  readonly onExpiry: (expires: number) => void;
  /** Told when the watch on the engine broke; it is then begun anew. */
  readonly onFailure: (error: unknown) => void;
}

export class TreeWatcher {
  readonly #options: TreeWatcherOptions;
  readonly #hub: WatchHub;
  #watch: Watch;
  #bare = new BareFiles();
  #running: Promise<void> = Promise.resolve();
  #closed = false;
  #endPause: () => void = () => {};

  /** Begins to follow the engine; every event after the call's moment is known to the watcher. */
  static async start(options: TreeWatcherOptions): Promise<TreeWatcher> {
    const watch = options.engine.watch(EVERY_KEY);
    const watcher = new TreeWatcher(options, watch, await watch.createdRevision);
    watcher.#running = watcher.#run();
    return watcher;
  }

  private constructor(options: TreeWatcherOptions, watch: Watch, revision: Revision) {
    this.#options = options;
    this.#watch = watch;
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
    const { revision: index, compactRevision } = await this.#options.engine.status();
    const interest: Interest = { path, recursive, index, from: waitIndex === 0 ? index + 1 : waitIndex };
    if (interest.from >= this.#hub.history.oldestIndex) return new LiveWatch(this.#hub.subscribe(interest), owner);
    if (recentOnly || interest.from < compactRevision) throw clearedError(interest.from, compactRevision, index);
    return this.#watchFromEngine(interest, owner);
  }

  /** Whether it is known that nothing at, above or below a path was written after one index, up to another. */
  isUntouched(path: TreePath, span: { readonly after: Revision; readonly until: Revision }): boolean {
    return this.#hub.history.isUntouched(path, span);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.close();
    this.#endPause();
    await this.#running;
    this.#hub.close();
  }

  /** What is older than the memory's events comes from the engine, up to what the memory had when the watch was made. */
  #watchFromEngine(interest: Interest, owner: string): TreeWatch {
    const { engine } = this.#options;
    const until = this.#hub.history.newestIndex;
    const live = this.#hub.subscribe({ ...interest, from: until + 1 });
    const past = engine.watch({ ...EVERY_KEY, startRevision: interest.from });
    const close = () => {
      past.close();
      live.close();
    };
    return {
      index: interest.index,
      close,
      async *[Symbol.asyncIterator]() {
        try {
          yield* readPast({ engine, past, until, interest });
          yield* inTurn(live, owner);
        } finally {
          close();
        }
      },
    };
  }

  async #run(): Promise<void> {
    let broken = false;
    while (!this.#closed) {
      try {
        if (broken) await this.#beginAnew();
        for await (const message of this.#watch) {
          if (message.kind === "events") await this.#take(message);
        }
        // The engine has ended the watch: it is closing.
        return;
      } catch (error) {
        if (this.#closed || isMusterError(error, "closed")) return;
        broken = true;
        this.#watch.close();
        this.#options.onFailure(error);
        await this.#pause();
      }
    }
  }

  async #take(change: Change): Promise<void> {
    this.#bare.follow(change.events);
    const events = await decodeChange(this.#options.engine, change, this.#bare);
    const loop = new LongLoop();
    for (const event of change.events) {
      if (loop.isDue()) await loop.pause();
      const expires = expiryIn(event);
      if (expires !== undefined) this.#options.onExpiry(expires);
      if (isUntold(event)) this.#hub.noteUntold(change.revision);
    }
    // Last: what the history has, the sweeper knows.
    await this.#hub.publish(change.revision, events);
  }

  async #beginAnew(): Promise<void> {
    this.#bare = new BareFiles();
    this.#watch = this.#options.engine.watch(EVERY_KEY);
    const revision = await this.#watch.createdRevision;
    this.#hub.restart(revision, clearedError(revision, revision + 1, revision));
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, TREE_WATCH_RETRY_MS);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Whether a change is of a key that v2 cannot name: it makes no event, but may imply directories. */
function isUntold({ kv }: Event): boolean {
  return kv.key[0] !== 0 && pathOfKey(kv.key) === undefined;
}

async function* readPast(options: {
  readonly engine: Engine;
  readonly past: Watch;
  readonly until: Revision;
  readonly interest: Interest;
}): AsyncGenerator<TreeEvent> {
  const { engine, past, until, interest } = options;
  for await (const message of past) {
    if (message.kind !== "events") continue;
    if (message.revision > until) return;
    const loop = new LongLoop();
    for (const decoded of await decodeChange(engine, message)) {
      if (loop.isDue()) await loop.pause();
      if (concerns(interest, decoded)) yield decoded.event;
    }
    if (message.revision === until) return;
  }
}

/** A watch on what comes, and on what the history has. */
class LiveWatch implements TreeWatch, QueueReader {
  readonly #subscription: Subscription;
  readonly #owner: string;
  #listener: FirstEventListener | undefined;

  constructor(subscription: Subscription, owner: string) {
    this.#subscription = subscription;
    this.#owner = owner;
  }

  get index(): Revision {
    return this.#subscription.interest.index;
  }

  close(): void {
    this.#subscription.close();
  }

  tellFirst(listener: FirstEventListener): void {
    this.#listener = listener;
    this.#subscription.queue.tell(this);
  }

  onReady(): void {
    const listener = this.#listener;
    const event = this.#subscription.queue.first;
    this.#listener = undefined;
    if (listener === undefined) return;
    if (event === undefined) listener.onEnd();
    else firstEvents.add(this.#owner, { listener, event });
  }

  [Symbol.asyncIterator](): AsyncIterator<TreeEvent> {
    return inTurn(this.#subscription, this.#owner);
  }
}

/** One event may concern thousands who wait: they are told in turns, and others are served in between. */
async function* inTurn(subscription: Subscription, owner: string): AsyncGenerator<TreeEvent> {
  try {
    for await (const event of subscription.queue) {
      const turn = fairTurns.enter(owner);
      if (turn !== undefined) await turn;
      yield event;
    }
  } finally {
    subscription.close();
  }
}
