/** What is sent on a stream of watches. */
import type { Event } from "../../engine/model.ts";
import type { WatchResponse } from "../../proto/etcdserverpb.ts";
import { Event_EventType as EventType, type Event as WireEvent } from "../../proto/mvccpb.ts";

/** A response that says nothing yet. */
export const NO_RESPONSE: WatchResponse = {
  header: undefined,
  watchId: 0n,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: "",
  fragment: false,
  events: [],
};

/** The ID of a response that concerns no watch, or all of them. */
export const NO_WATCH_ID = -1n;

/** What an event takes on the wire at most, beside keys and values: its fields' tags, lengths and numbers. */
const EVENT_OVERHEAD_BYTES = 128;

/** What a response takes at most, beside its events. */
export const RESPONSE_OVERHEAD_BYTES = 64;

export function wireEvent({ kind, kv, prevKv }: Event): WireEvent {
  return { type: kind === "put" ? EventType.PUT : EventType.DELETE, kv, prevKv };
}

/** What an event takes on the wire, at most. */
function sizeOf({ kv, prevKv }: Event): number {
  const before = prevKv === undefined ? 0 : prevKv.key.length + prevKv.value.length;
  return EVENT_OVERHEAD_BYTES + kv.key.length + kv.value.length + before;
}

/**
 * Responses of at most `maxBytes` each (but for a single event that is larger) that together tell `events`: all but the
 * last say that there is more. `told` is what all of them have in common.
 */
export function* fragmentsOf(
  told: WatchResponse,
  events: readonly Event[],
  maxBytes: number,
): Generator<WatchResponse> {
  let part: WireEvent[] = [];
  let partBytes = RESPONSE_OVERHEAD_BYTES;
  for (const event of events) {
    const size = sizeOf(event);
    if (part.length > 0 && partBytes + size > maxBytes) {
      yield { ...told, events: part, fragment: true };
      part = [];
      partBytes = RESPONSE_OVERHEAD_BYTES;
    }
    part.push(wireEvent(event));
    partBytes += size;
  }
  yield { ...told, events: part };
}
