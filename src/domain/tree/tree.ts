/** The v2 tree over an engine: what etcd v2 calls its store. */
import { type Clock, timeOver } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { MAX_KEY_BYTES } from "../../base/limits.ts";
import { TREE_READ_ATTEMPTS } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import type {
  Foresight,
  GetOptions,
  Rider,
  TreeEvent,
  TreePath,
  TreeReading,
  TreeStore,
  TreeWatch,
  TreeWatchRequest,
  WriteCommand,
} from "./model.ts";
import { OwnEvents } from "./own-events.ts";
import { pathError } from "./tree-errors.ts";
import { listDirectory } from "./tree-list.ts";
import { cutPath } from "./tree-path.ts";
import { expiredFile, firstExpired, firstMissing, type Located, locate, nodeOf } from "./tree-read.ts";
import { TreeReadings } from "./tree-readings.ts";
import { TreeSweeper } from "./tree-sweeper.ts";
import { TreeWatcher } from "./tree-watcher.ts";
import { TreeWriter } from "./tree-writer.ts";

/** What the tree tells its operator; base/log.ts fits. */
export interface TreeLog {
  warn(fields: object, message: string): void;
}

export interface TreeOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: TreeLog;
  /** Whether other processes write to the engine as well. */
  readonly isShared?: boolean;
  /** Told of each node that this process has let go because its time was over. */
  readonly onExpired?: () => void;
}

export class Tree implements TreeStore {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #writer: TreeWriter;
  readonly #sweeper: TreeSweeper;
  readonly #watcher: TreeWatcher;
  readonly #readings: TreeReadings;

  /** Opens the tree: starts its one watch on the engine and its sweeper. The engine stays the caller's to close. */
  static async open(options: TreeOptions): Promise<Tree> {
    const { engine, clock, log, onExpired = () => undefined, isShared = false } = options;
    const own = new OwnEvents();
    const writer = new TreeWriter({ engine, clock, onExpired, own, isShared });
    const sweeper = new TreeSweeper({
      engine,
      clock,
      expire: (path, expires) => writer.expire(path, expires),
      onExpired,
      onFailure: (err) => log.warn({ err }, "Nodes whose time has come could not be let go; trying again"),
    });
    const watcher = await TreeWatcher.start({
      engine,
      own,
      onRead: (event) => writer.noteEvent(event),
      onExpiry: (expires) => sweeper.noteExpiry(expires),
      onFailure: (err) => log.warn({ err }, "The tree's watch on the store broke; it goes on when it can"),
      onGap: () => {
        log.warn({}, "The store has forgotten changes that Muster was not told of; waits from before were ended");
        sweeper.lookAnew();
      },
    });
    await sweeper.start();
    return new Tree(options, { writer, sweeper, watcher });
  }

  private constructor(
    { engine, clock }: TreeOptions,
    parts: { readonly writer: TreeWriter; readonly sweeper: TreeSweeper; readonly watcher: TreeWatcher },
  ) {
    this.#engine = engine;
    this.#clock = clock;
    this.#writer = parts.writer;
    this.#sweeper = parts.sweeper;
    this.#watcher = parts.watcher;
    this.#readings = new TreeReadings({ engine, isUnchanged: (path, span) => this.isUnchanged(path, span) });
  }

  /** Reads a node; a directory with its children, or (recursive) all below it. They come in byte order anyway. */
  async get(path: TreePath, options: GetOptions): Promise<TreeReading> {
    if (options.recursive) return this.#readAgain(path, options);
    return (await this.#readings.get(path)) ?? this.#readings.keep(await this.#readAgain(path, options));
  }

  /** The revision at which a long listing reads may be compacted under it: then once more, at the newest. */
  async #readAgain(path: TreePath, options: GetOptions): Promise<TreeReading> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#read(path, options);
      } catch (error) {
        if (!isMusterError(error, "compacted") || attempt === TREE_READ_ATTEMPTS) throw error;
      }
    }
  }

  async #read(path: TreePath, { recursive, isAbandoned }: GetOptions): Promise<TreeReading> {
    const now = timeOver(this.#clock);
    const located = await this.#locate(cutPath(path, MAX_KEY_BYTES));
    const { target, revision: index } = located;
    const over = firstExpired(located, now);
    if (over !== undefined) throw pathError("nodeNotFound", over.path, index);
    if (target.kind === "missing") throw pathError("nodeNotFound", await firstMissing(this.#engine, located), index);
    const node = nodeOf(target);
    if (node.kind === "file") return { node, index };
    const list = { engine: this.#engine, directory: path, revision: index, recursive, now, isAbandoned };
    const nodes = await listDirectory(list);
    return { node: { ...node, nodes }, index };
  }

  /**
   * Whether what was read at a path at the index `after` would be read there again at `until`, an index that the store
   * has just had: nothing at, above or below it was written in between, and the time of no node has come. False where
   * that is not so, and where only reading it can tell.
   */
  isUnchanged(path: TreePath, span: { readonly after: Revision; readonly until: Revision }): boolean {
    return !this.#sweeper.isDue && this.#watcher.isUntouched(path, span);
  }

  /**
   * A write. `rider` brings conditions and changes of the caller's into the same revision; its planned event has the
   * indices that the write gets if nothing else is written meanwhile. With `foresight` a file is created without reading
   * first, where what is foreseen holds; else, and with the rider then, as usual.
   */
  write(command: WriteCommand, rider?: Rider, foresight?: Foresight): Promise<TreeEvent> {
    const writing = this.#writer.write(command, rider, foresight);
    if (!("expiry" in command && command.expiry.kind === "at")) return writing;
    const { expires } = command.expiry;
    return writing.then((event) => {
      this.#sweeper.noteExpiry(expires);
      return event;
    });
  }

  watch(request: TreeWatchRequest): Promise<TreeWatch> {
    return this.#watcher.watch(request);
  }

  /** Lets every node go whose time has come; resolves with how many went. The tree's own timer calls it too. */
  sweep(): Promise<number> {
    return this.#sweeper.sweep();
  }

  /** Ends watches, timers and work under way. May be called twice. */
  async close(): Promise<void> {
    await this.#sweeper.close();
    await this.#watcher.close();
  }

  async #locate(path: TreePath): Promise<Located> {
    try {
      return await locate(this.#engine, path);
    } catch (error) {
      if (!isMusterError(error, "notDirectory")) throw error;
      const over = await expiredFile({ engine: this.#engine, clock: this.#clock }, error);
      if (over === undefined) throw error;
      throw pathError("nodeNotFound", over.path, Number(error.details.index));
    }
  }
}
