/**
 * What this process itself has just written, on its way to the watcher: whoever made an event need not work it out again
 * from what the store tells of its revision. What is not here when the watcher comes to it, it reads.
 */
import { MAX_OWN_EVENTS } from "../../base/tree-limits.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreeEvent } from "./model.ts";

export class OwnEvents {
  readonly #events = new Map<Revision, TreeEvent>();
  /** The watcher has been told of everything up to this revision. */
  #taken: Revision = 0;

  /** Keeps the one event of a revision, and when it was made: nothing else that watches tell of was changed in it. */
  note(event: TreeEvent, at: number): void {
    if (event.index <= this.#taken || this.#events.size >= MAX_OWN_EVENTS) return;
    this.#events.set(event.index, { ...event, at });
  }

  /** The event of a revision, if it is known, to be asked for once; revisions rise. */
  take(revision: Revision): TreeEvent | undefined {
    const event = this.#events.get(revision);
    if (event !== undefined) this.#events.delete(revision);
    this.#taken = revision;
    return event;
  }

  /** Revisions up to this one are never told. */
  skip(revision: Revision): void {
    this.#taken = revision;
    for (const known of this.#events.keys()) {
      if (known <= revision) this.#events.delete(known);
    }
  }
}
