/**
 * Lets nodes go whose time has come, each in a revision of its own. Every change is guarded, so that any number of
 * processes may sweep one store.
 */
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, timeOver } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { TREE_SWEEP_BATCH, TREE_SWEEP_LONGEST_SLEEP_MS, TREE_SWEEP_RETRY_MS } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue } from "../../engine/model.ts";
import { turns } from "../../engine/turns.ts";
import { type DueNode, dueNode, letGo, type Outcome } from "./due-nodes.ts";
import type { TreePath } from "./model.ts";
import { StaleExpiries } from "./stale-expiries.ts";
import { expiryRange, parseExpiryKey } from "./tree-layout.ts";

export interface TreeSweeperOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Lets a node go, if it is still the one that was to go then; resolves with whether it was. */
  readonly expire: (path: TreePath, expires: number) => Promise<boolean>;
  /** Told of each node that went otherwise than by `expire`. */
  readonly onExpired: () => void;
  /** Told when a sweep that the timer began has failed, once until one has not: it is tried again. */
  readonly onFailure: (error: unknown) => void;
}

export class TreeSweeper {
  readonly #options: TreeSweeperOptions;
  readonly #stale = new StaleExpiries(({ key }) => this.#lookAgainFrom(parseExpiryKey(key)?.expires));
  /** When the next node is to go, as far as this process knows. */
  #due = Number.POSITIVE_INFINITY;
  /** Up to when, in ms since 1970, all entries have been looked at: those that are still there are stale. */
  #lookedUntil = -1;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<number> = Promise.resolve(0);
  #sweeping = false;
  #failing = false;
  #closed = false;

  constructor(options: TreeSweeperOptions) {
    this.#options = options;
  }

  /** Finds out what is due first and sets the timer. */
  async start(): Promise<void> {
    this.noteExpiry(await this.#firstExpiry());
  }

  /** Whether the time of some node has come, or may have: then what stands in the store is not what is read. */
  get isDue(): boolean {
    // By the clock as it stands, even where it is not trusted: what was read while it was may hide something.
    return this.#sweeping || this.#due <= this.#options.clock.now();
  }

  /** A node is to go at this time, in ms since 1970. */
  noteExpiry(expires: number): void {
    this.#lookAgainFrom(expires);
    if (expires >= this.#due) return;
    this.#due = expires;
    this.#setTimer(this.#due - timeOver(this.#options.clock));
  }

  /** Times may have been noted in the store of which this process was not told. */
  lookAnew(): void {
    this.noteExpiry(0);
  }

  /** Lets everything go that is due; resolves with how many nodes went. */
  async sweep(): Promise<number> {
    if (this.#due > timeOver(this.#options.clock)) return 0;
    // One at a time: a sweep under way may have read the index before what this one is to find.
    this.#running = this.#running.catch(() => 0).then(() => this.#sweepAll());
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running.catch(() => 0);
  }

  #lookAgainFrom(expires = 0): void {
    this.#lookedUntil = Math.min(this.#lookedUntil, expires - 1);
  }

  async #sweepAll(): Promise<number> {
    const from = this.#lookedUntil;
    // What is noted from now on lowers it.
    this.#lookedUntil = Number.POSITIVE_INFINITY;
    this.#sweeping = true;
    try {
      const { gone, until } = await this.#sweepFrom(from);
      this.#lookedUntil = Math.min(this.#lookedUntil, until);
      // Forgotten before the index is read: what is noted while it is being read counts.
      this.#due = Number.POSITIVE_INFINITY;
      this.noteExpiry(await this.#firstExpiry());
      return gone;
    } catch (error) {
      this.#lookedUntil = Math.min(this.#lookedUntil, from);
      this.#due = timeOver(this.#options.clock);
      this.#setTimer(TREE_SWEEP_RETRY_MS);
      throw error;
    } finally {
      this.#sweeping = false;
    }
  }

  /** Looks at every entry behind `from` whose time has come; `until`: up to when. */
  async #sweepFrom(from: number): Promise<{ readonly gone: number; readonly until: number }> {
    let gone = 0;
    let { key } = expiryRange({ after: from });
    /** The writes of one batch are on their way while the next one is read. */
    let going: Promise<number> = Promise.resolve(0);
    for (;;) {
      const until = Math.floor(timeOver(this.#options.clock));
      const entries = this.#closed ? [] : await this.#readDue(key, until);
      const next = await this.#letGo(entries);
      gone += await going;
      going = next.gone;
      const last = entries.at(-1);
      if (last === undefined) return { gone, until };
      key = behind(last.key);
      // Thousands may go: others are served in between.
      await turns.next();
    }
  }

  /** Resolves when the engine has their writes; `gone`: how many went. */
  async #letGo(entries: readonly KeyValue[]): Promise<{ readonly gone: Promise<number> }> {
    const due = entries.flatMap((entry) => dueNode(entry) ?? []);
    const outcomes = await letGo({ ...this.#options, stale: this.#stale }, due);
    const gone = this.#settle(due, outcomes);
    // It may fail before it is awaited, or never be awaited when the batch before it failed.
    gone.catch(() => undefined);
    return { gone };
  }

  async #settle(due: readonly DueNode[], outcomes: readonly Promise<Outcome>[]): Promise<number> {
    const settled = await Promise.allSettled(outcomes);
    const failed = settled.find((outcome) => outcome.status === "rejected");
    let gone = 0;
    for (const [place, { entry, path, expires }] of due.entries()) {
      const outcome = settled[place];
      // What became of it is not known, or it is there still: either way the next sweep finds out.
      if (outcome?.status !== "fulfilled") continue;
      if (outcome.value === "gone") this.#options.onExpired();
      const isGone =
        outcome.value === "overtaken" ? await this.#options.expire(path, expires) : outcome.value === "gone";
      if (isGone) gone++;
      else this.#stale.add(entry);
    }
    if (failed !== undefined) throw failed.reason;
    await this.#dropTooManyStale();
    return gone;
  }

  async #dropTooManyStale(): Promise<void> {
    for (let txn = this.#stale.overflow(); txn !== undefined; txn = this.#stale.overflow()) {
      await this.#options.engine.txn(txn);
    }
  }

  async #readDue(key: KeyValue["key"], until: number): Promise<readonly KeyValue[]> {
    const { end } = expiryRange({ until });
    return (await this.#options.engine.range({ key, end, limit: TREE_SWEEP_BATCH, uncounted: true })).kvs;
  }

  async #firstExpiry(): Promise<number> {
    const range = expiryRange({ after: this.#lookedUntil });
    const { kvs } = await this.#options.engine.range({ ...range, limit: 1, uncounted: true });
    const [first] = kvs;
    return (first === undefined ? undefined : parseExpiryKey(first.key)?.expires) ?? Number.POSITIVE_INFINITY;
  }

  #setTimer(wait: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const delay = Math.min(Math.max(Math.ceil(wait), 0), TREE_SWEEP_LONGEST_SLEEP_MS);
    this.#timer = setTimeout(() => void this.#onTimer(), delay).unref();
  }

  async #onTimer(): Promise<void> {
    try {
      const wait = this.#due - timeOver(this.#options.clock);
      if (wait > 0) this.#setTimer(wait);
      else {
        await this.sweep();
        this.#failing = false;
      }
    } catch (error) {
      if (this.#closed || isMusterError(error, "closed")) return;
      if (!this.#failing) this.#options.onFailure(error);
      this.#failing = true;
    }
  }
}

/** The first key behind another. */
function behind(key: Bytes): Bytes {
  return Buffer.concat([key, Buffer.of(0)]);
}
