/** The place of a watch: what is next after an answer, whole or in fragments, and where a new connection begins. */
import type { Event as WireEvent } from "../../proto/mvccpb.ts";
import type { Revision } from "../model.ts";

/** What of an answer to a watch matters for its place. */
export interface WatchPiece {
  readonly events: readonly WireEvent[];
  /** Whether more of the same revision follows. */
  readonly fragment: boolean;
}

/**
 * How far a watch has been told, in etcd's revisions: whatever connection breaks, and wherever in a revision that comes
 * in fragments, it goes on after the last whole revision, and no event is passed on twice.
 */
export class EtcdWatchCursor {
  #next: Revision | undefined;
  #reached: Revision = 0;
  #partial: WireEvent[] = [];
  #isResumed = false;

  /** `start`: the revision to begin with; undefined where that is not known yet. */
  constructor(start: Revision | undefined) {
    this.#next = start;
  }

  /** The first revision that has not been passed on; undefined before a place is known. */
  get next(): Revision | undefined {
    return this.#next;
  }

  /** Up to where all has been told; 0 before anything is known. A watch that begins in the future has not reached its start. */
  get reached(): Revision {
    return this.#reached;
  }

  /**
   * With which revision a connection is to begin; 0: from now on. After the first one that is the last revision that was
   * passed on, and not the next: where the store is compacted to just the next one, etcd lets a watch begin there, though
   * older ones (3.4.23 does) have taken the deletes of that revision away.
   */
  get start(): Revision {
    const next = this.#next ?? 0;
    return this.#isResumed ? Math.max(next - 1, 1) : next;
  }

  /** Everything before `revision` needs no telling. It never goes back. */
  advance(revision: Revision): void {
    this.#next = Math.max(this.#next ?? 0, revision);
    this.#reached = Math.max(this.#reached, revision - 1);
  }

  /** The connection tells from `start` on: what is lost from then on has to be told by the next one. */
  begun(): void {
    this.#isResumed = this.#next !== undefined;
  }

  /** A new connection tells `next` again from the beginning of that revision. */
  reconnected(): void {
    this.#partial = [];
  }

  /** The events of whole revisions that can be passed on now, in order. */
  take({ events, fragment }: WatchPiece): readonly WireEvent[] {
    const next = this.#next ?? 0;
    const fresh = events.every((event) => revisionOf(event) >= next)
      ? events
      : events.filter((event) => revisionOf(event) >= next);
    const known = this.#partial.length === 0 ? fresh : this.#partial.concat(fresh);
    const whole = fragment ? known.slice(0, startOfLast(known)) : known;
    this.#partial = fragment ? known.slice(whole.length) : [];
    const last = whole.at(-1);
    if (last !== undefined) {
      this.advance(revisionOf(last) + 1);
    }
    return whole;
  }
}

export function revisionOf(event: WireEvent): Revision {
  return event.kv?.modRevision ?? 0;
}

/** Where the events of the last revision begin: of that there may be more to come. */
function startOfLast(events: readonly WireEvent[]): number {
  let start = events.length;
  const last = events.at(-1);
  while (start > 0 && last !== undefined && revisionOf(events[start - 1] ?? last) === revisionOf(last)) {
    start--;
  }
  return start;
}
