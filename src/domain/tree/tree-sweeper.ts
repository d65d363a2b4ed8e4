/**
 * Lets nodes go whose time has come, each in a revision of its own. Every change is guarded, so that any number of
 * processes may sweep one store.
 */
import type { Clock } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { TREE_SWEEP_BATCH, TREE_SWEEP_LONGEST_SLEEP_MS, TREE_SWEEP_RETRY_MS } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue } from "../../engine/model.ts";
import { InTurn, type Place } from "./in-turn.ts";
import type { TreePath } from "./model.ts";
import { expiryRange, parseExpiryKey } from "./tree-layout.ts";

export interface TreeSweeperOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Lets a node go at its place, if it is still the one that was to go then; resolves with whether it was. */
  readonly expire: (path: TreePath, expires: number, place: Place) => Promise<boolean>;
  /** Told when a sweep that the timer began has failed; it is tried again. */
  readonly onFailure: (error: unknown) => void;
}

export class TreeSweeper {
  readonly #options: TreeSweeperOptions;
  /** When the next node is to go, as far as this process knows. */
  #due = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<number> = Promise.resolve(0);
  #sweeping = false;
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
    return this.#sweeping || this.#due <= this.#options.clock.now();
  }

  /** A node is to go at this time, in ms since 1970. */
  noteExpiry(expires: number): void {
    if (expires >= this.#due) return;
    this.#due = expires;
    this.#setTimer(this.#due - this.#options.clock.now());
  }

  /** Lets everything go that is due; resolves with how many nodes went. */
  async sweep(): Promise<number> {
    if (this.#due > this.#options.clock.now()) return 0;
    // One at a time: a sweep under way may have read the index before what this one is to find.
    this.#running = this.#running.catch(() => 0).then(() => this.#sweepAll());
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running.catch(() => 0);
  }

  async #sweepAll(): Promise<number> {
    let gone = 0;
    this.#sweeping = true;
    try {
      for (let batch = await this.#readDue(); batch.length > 0 && !this.#closed; batch = await this.#readDue()) {
        gone += await this.#sweepBatch(batch);
      }
      // Forgotten before the index is read: what is noted while it is being read counts.
      this.#due = Number.POSITIVE_INFINITY;
      this.noteExpiry(await this.#firstExpiry());
    } catch (error) {
      this.#due = this.#options.clock.now();
      this.#setTimer(TREE_SWEEP_RETRY_MS);
      throw error;
    } finally {
      this.#sweeping = false;
    }
    return gone;
  }

  /** Side by side, so that they share the syncs of the disk; their writes are handed in in the order of their times. */
  async #sweepBatch(entries: readonly KeyValue[]): Promise<number> {
    const inTurn = new InTurn();
    const sweeps = await Promise.allSettled(entries.map((entry) => this.#sweepOne(entry, inTurn.next())));
    const stale = entries.filter((_entry, index) => isFalse(sweeps[index]));
    await this.#dropStale(stale);
    const failed = sweeps.find((sweep) => sweep.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return entries.length - stale.length;
  }

  async #sweepOne({ key }: KeyValue, place: Place): Promise<boolean> {
    try {
      const due = parseExpiryKey(key);
      return due !== undefined && (await this.#options.expire(due.path, due.expires, place));
    } finally {
      place.leave();
    }
  }

  /** Entries that mean nothing any more: the node went otherwise, or was given another time by v3 or in its parent's end. */
  async #dropStale(entries: readonly KeyValue[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#options.engine.txn({
      compares: entries.map(({ key, modRevision }) => ({
        key,
        target: "modRevision",
        result: "equal",
        expected: modRevision,
      })),
      success: entries.map(({ key }) => ({ kind: "deleteRange", request: { key } })),
      failure: [],
    });
  }

  async #readDue(): Promise<readonly KeyValue[]> {
    const range = expiryRange(this.#options.clock.now());
    return (await this.#options.engine.range({ ...range, limit: TREE_SWEEP_BATCH, uncounted: true })).kvs;
  }

  async #firstExpiry(): Promise<number> {
    const { kvs } = await this.#options.engine.range({ ...expiryRange(), limit: 1, uncounted: true });
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
      const wait = this.#due - this.#options.clock.now();
      if (wait > 0) this.#setTimer(wait);
      else await this.sweep();
    } catch (error) {
      if (!this.#closed && !isMusterError(error, "closed")) this.#options.onFailure(error);
    }
  }
}

function isFalse(sweep: PromiseSettledResult<boolean> | undefined): boolean {
  return sweep?.status === "fulfilled" && !sweep.value;
}
