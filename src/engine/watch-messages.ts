/** What watches are told of a revision. */
import type { Event, Revision, WatchMessage, WatchRequest } from "./model.ts";
import type { RevisionEvents } from "./watch-history.ts";

/** What waits for a watch's reader, and what it takes. */
export interface Queued {
  readonly message: WatchMessage;
  readonly events: number;
  /** Of keys and values. */
  readonly bytes: number;
}

/** A revision as one watch is told of it, as far as it has been read. */
export class ShownRevision {
  readonly revision: Revision;
  readonly #events: Event[] = [];
  #bytes = 0;

  constructor(revision: Revision) {
    this.revision = revision;
  }

  /** Adds those events that the watch's filters leave. */
  add(events: readonly Event[], { noPut, noDelete, prevKv }: WatchRequest): void {
    for (const event of events) {
      if (event.kind === "put" ? noPut !== true : noDelete !== true) {
        const shown = prevKv === true || event.prevKv === undefined ? event : { ...event, prevKv: undefined };
        this.#events.push(shown);
        this.#bytes += bytesOf(shown);
      }
    }
  }

  /** Undefined where the filters left nothing. */
  toQueue(): Queued | undefined {
    const { revision } = this;
    const events = this.#events;
    return events.length === 0
      ? undefined
      : { message: { kind: "events", revision, events }, events: events.length, bytes: this.#bytes };
  }
}

/**
 * The message for a revision, made once for all watches that are told of the same events and have the same filters: very
 * many may watch one key, and whoever sends the message may keep by it what it comes to on the wire.
 */
export class SharedRevision {
  readonly revision: Revision;
  readonly #events: readonly Event[];
  /** By their filters; null where those leave nothing. */
  readonly #made: (Queued | null)[] = [];

  constructor({ revision, events }: RevisionEvents) {
    this.revision = revision;
    this.#events = events;
  }

  for(request: WatchRequest): Queued | undefined {
    const { noPut, noDelete, prevKv } = request;
    const filters = (noPut === true ? 1 : 0) | (noDelete === true ? 2 : 0) | (prevKv === true ? 4 : 0);
    const made = this.#made[filters];
    if (made !== undefined) {
      return made ?? undefined;
    }
    const shown = new ShownRevision(this.revision);
    shown.add(this.#events, request);
    const queued = shown.toQueue();
    this.#made[filters] = queued ?? null;
    return queued;
  }
}

function bytesOf({ kv, prevKv }: Event): number {
  return kv.key.length + kv.value.length + (prevKv === undefined ? 0 : prevKv.key.length + prevKv.value.length);
}
