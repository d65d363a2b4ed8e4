/**
 * What this process itself has just written, on its way to the watcher: whoever made an event need not work it out again
 * from what the store tells of its revision. What is not here when the watcher comes to it, it reads.
 */
import { MAX_OWN_EVENT_BYTES, MAX_OWN_EVENTS } from "../../base/tree-limits.ts";
import type { Operation, Revision } from "../../engine/model.ts";
import type { TreeEvent, TreeNode } from "./model.ts";

export class OwnEvents {
  /** By revision, as its rest: a Map that grows and shrinks so often keeps V8 from collecting what was in it with the young. */
  readonly #events: (TreeEvent | undefined)[] = new Array<TreeEvent | undefined>(MAX_OWN_EVENTS).fill(undefined);
  /** The watcher has been told of everything up to this revision. */
  #taken: Revision = 0;

  /**
   * Keeps the event of a revision, and when it was made, unless there is more to tell of it: `riding` are the changes in
   * it that are not the event's own. With any but puts of internal keys it is not kept, and the revision is read: also
   * where internal keys are deleted, as such a deletion may be of a range, and reach into what is told.
   */
  note(event: TreeEvent, at: number, riding: readonly Operation[]): void {
    if (event.index > this.#taken && sizeOf(event) <= MAX_OWN_EVENT_BYTES && riding.every(isInternalPut))
      this.#events[event.index % MAX_OWN_EVENTS] = madeAt(event, at);
  }

  /** The event of a revision, if it is known, to be asked for once; revisions rise. */
  take(revision: Revision): TreeEvent | undefined {
    this.#taken = revision;
    const event = this.#events[revision % MAX_OWN_EVENTS];
    if (event?.index !== revision) return undefined;
    this.#events[revision % MAX_OWN_EVENTS] = undefined;
    return event;
  }

  /** Revisions up to this one are never told. */
  skip(revision: Revision): void {
    this.#taken = revision;
    for (const [place, event] of this.#events.entries()) {
      if (event !== undefined && event.index <= revision) this.#events[place] = undefined;
    }
  }
}

/** Field by field, as thousands are kept: a spread makes a much larger object. */
function madeAt(event: TreeEvent, at: number): TreeEvent {
  const { action, node, index, prevNode, refresh } = event;
  if (refresh !== undefined) return { ...event, at };
  return prevNode === undefined ? { action, node, index, at } : { action, node, index, prevNode, at };
}

/** Whether a change is a put of which no watch tells anything. */
function isInternalPut(operation: Operation): boolean {
  return operation.kind === "put" && operation.request.key[0] === 0;
}

function sizeOf({ node, prevNode }: TreeEvent): number {
  return valueBytes(node) + (prevNode === undefined ? 0 : valueBytes(prevNode));
}

function valueBytes(node: TreeNode): number {
  return node.kind === "file" ? node.value.length : 0;
}
