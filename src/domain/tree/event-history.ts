/** The latest events of the tree, for watches that begin in the past. */
import { TREE_HISTORY_BYTES, TREE_HISTORY_EVENTS, TREE_UNTOUCHED_LOOKS } from "../../base/tree-limits.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreeNode, TreePath } from "./model.ts";
import type { DecodedEvent } from "./tree-decode.ts";
import { isBelow } from "./tree-path.ts";

/** What an event takes beside its keys and values; measured roughly, it only has to bound the total. */
const EVENT_OVERHEAD_BYTES = 500;

export class EventHistory {
  /** A ring: the oldest is at `#first`, and everything before it has been let go. */
  #events: DecodedEvent[] = [];
  #first = 0;
  #bytes = 0;
  #oldest: Revision;
  #newest: Revision;
  /** The latest revision with changes that no event tells of; -1: none. */
  #untold = -1;

  /** `revision`: the store's when the history begins; events after it are to be added, none left out. */
  constructor(revision: Revision) {
    this.#oldest = revision + 1;
    this.#newest = revision;
  }

  /** Every event from this index on is here. */
  get oldestIndex(): Revision {
    return this.#oldest;
  }

  /** Every event up to this index has been added. */
  get newestIndex(): Revision {
    return this.#newest;
  }

  /** Adds the events of a revision (perhaps none), which is newer than all before. */
  add(revision: Revision, events: readonly DecodedEvent[]): void {
    this.#newest = revision;
    if (events.length > TREE_HISTORY_EVENTS) {
      this.#dropAll();
      return;
    }
    for (const decoded of events) {
      this.#events.push(decoded);
      this.#bytes += sizeOf(decoded);
    }
    while (this.#isTooLarge()) this.#dropOldest();
    this.#tidy();
  }

  /** A revision that is to be added holds changes that no event tells of. */
  noteUntold(revision: Revision): void {
    this.#untold = revision;
  }

  /** The events from an index on, oldest first. */
  *from(index: Revision): Generator<DecodedEvent> {
    for (let place = this.#search(index); place < this.#events.length; place++) {
      const decoded = this.#events[place];
      if (decoded !== undefined) yield decoded;
    }
  }

  /**
   * Whether it is known that nothing at, above or below a path was written after one index, up to another. False also
   * where the history does not reach so far, or would have to be searched for long.
   */
  isUntouched(path: TreePath, { after, until }: { readonly after: Revision; readonly until: Revision }): boolean {
    if (until > this.#newest || after + 1 < this.#oldest || after < this.#untold) return false;
    if (after >= this.#newest) return true;
    let looks = 0;
    for (const { event } of this.from(after + 1)) {
      if (++looks > TREE_UNTOUCHED_LOOKS || touches(event.node.path, path)) return false;
    }
    return true;
  }

  #isTooLarge(): boolean {
    const count = this.#events.length - this.#first;
    return count > TREE_HISTORY_EVENTS || (this.#bytes > TREE_HISTORY_BYTES && count > 0);
  }

  /** Drops the oldest revision whole, so that what is left is complete from an index on. */
  #dropOldest(): void {
    const index = this.#events[this.#first]?.event.index ?? this.#newest;
    for (let next = this.#events[this.#first]; next?.event.index === index; next = this.#events[this.#first]) {
      this.#bytes -= sizeOf(next);
      this.#first++;
    }
    this.#oldest = index + 1;
  }

  /** What comes with more events than are kept leaves nothing. */
  #dropAll(): void {
    this.#events = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#oldest = this.#newest + 1;
  }

  #tidy(): void {
    if (this.#first < TREE_HISTORY_EVENTS) return;
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }

  #search(index: Revision): number {
    let low = this.#first;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.event.index ?? 0) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function sizeOf({ event, removed }: DecodedEvent): number {
  return EVENT_OVERHEAD_BYTES + nodeBytes(event.node) + nodeBytes(event.prevNode) + removed.size * EVENT_OVERHEAD_BYTES;
}

/** Whether a write at one path may change what is read at another. */
function touches(written: TreePath, read: TreePath): boolean {
  return written === read || isBelow(written, read) || isBelow(read, written);
}

function nodeBytes(node: TreeNode | undefined): number {
  return node?.kind === "file" ? node.path.length + node.value.length : (node?.path.length ?? 0);
}
