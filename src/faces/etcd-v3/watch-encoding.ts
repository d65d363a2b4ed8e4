/**
 * Watch responses as they are on the wire, put together from parts: the events of a revision are the same bytes for
 * everybody who is told of them, and very many may watch one key.
 */
import type { WatchMessage } from "../../engine/model.ts";
import { WatchResponse } from "../../proto/etcdserverpb.ts";
import { NO_RESPONSE, wireEvent } from "./watch-responses.ts";

export type EventsMessage = Extract<WatchMessage, { readonly kind: "events" }>;

/** Kept for as long as the message waits for any watch. */
const encoded = new WeakMap<EventsMessage, Uint8Array>();

/** The events of a message as part of a response. */
export function encodedEvents(message: EventsMessage): Uint8Array {
  const known = encoded.get(message);
  if (known !== undefined) return known;
  const bytes = encodedPart({ events: message.events.map(wireEvent) });
  encoded.set(message, bytes);
  return bytes;
}

/** Some fields of a response: those of several parts together are a response. */
export function encodedPart(fields: Partial<WatchResponse>): Uint8Array {
  return WatchResponse.encode({ ...NO_RESPONSE, ...fields }).finish();
}
