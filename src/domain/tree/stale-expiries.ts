/**
 * Entries of the expiry index that mean nothing any more: the node went otherwise, or with its directory. They go along
 * with nodes that expire, so that clients see no revision of theirs; where very many wait, by revisions of their own.
 */
import { STALE_EXPIRIES_PER_WRITE, TREE_SWEEP_BATCH } from "../../base/tree-limits.ts";
import type { Compare, KeyValue, Operation, TxnRequest } from "../../engine/model.ts";
import { unchanged } from "./tree-changes.ts";

export interface Ride {
  /** Hold while nobody has put the entries anew. */
  readonly compares: readonly Compare[];
  readonly operations: readonly Operation[];
  /** To be told where the write was not done. */
  failed(): void;
}

export class StaleExpiries {
  readonly #onDoubt: (entry: KeyValue) => void;
  /** By their keys. */
  #entries = new Map<string, KeyValue>();

  /** `onDoubt`: told of entries that may have been put anew. */
  constructor(onDoubt: (entry: KeyValue) => void) {
    this.#onDoubt = onDoubt;
  }

  add(entry: KeyValue): void {
    this.#entries.set(Buffer.from(entry.key).toString("latin1"), entry);
  }

  /** What goes along with a write: nothing, mostly. */
  ride(): Ride {
    return this.#entries.size === 0 ? NO_RIDE : this.#rideOf(this.#take(STALE_EXPIRIES_PER_WRITE));
  }

  /** A transaction of its own for the oldest ones, if too many wait. */
  overflow(): TxnRequest | undefined {
    if (this.#entries.size <= TREE_SWEEP_BATCH) return undefined;
    const { compares, operations } = this.#rideOf(this.#take(TREE_SWEEP_BATCH));
    return { compares, success: operations, failure: [] };
  }

  #take(count: number): readonly KeyValue[] {
    const taken: KeyValue[] = [];
    for (const [name, entry] of this.#entries) {
      if (taken.length === count) break;
      this.#entries.delete(name);
      taken.push(entry);
    }
    return taken;
  }

  #rideOf(entries: readonly KeyValue[]): Ride {
    return {
      compares: entries.map(unchanged),
      operations: entries.map(({ key }) => ({ kind: "deleteRange", request: { key } })),
      failed: () => {
        for (const entry of entries) this.#onDoubt(entry);
      },
    };
  }
}

const NO_RIDE: Ride = { compares: [], operations: [], failed: () => {} };
