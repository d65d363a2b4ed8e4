/** What the watches of a stream were told, watch by watch. */
import { z } from "zod";
import { isJsonObject, type Json } from "../conformance/json.ts";

/** The key whose events are left out. */
export const FENCE_KEY = "~fence";
const FENCE = Buffer.from(FENCE_KEY);

/** The largest response to a watch that asked for fragments, but for a single event. */
const FRAGMENT_BYTES = 2 * 1024 * 1024;

const keyValue = z.looseObject({
  key: z.instanceof(Uint8Array),
  value: z.instanceof(Uint8Array),
  mod_revision: z.coerce.number(),
});

/** What has to be known of a response to play on; all of it is compared. */
const knownSchema = z.object({
  header: z.object({
    cluster_id: z.string(),
    member_id: z.string(),
    raft_term: z.string(),
    revision: z.coerce.number(),
  }),
  watch_id: z.coerce.number(),
  created: z.boolean(),
  canceled: z.boolean(),
  fragment: z.boolean(),
  events: z.array(z.looseObject({ kv: keyValue, prev_kv: keyValue.nullable() })),
});

export interface WatchResponse extends z.infer<typeof knownSchema> {
  readonly whole: object;
}

export function readWatchResponse(data: unknown): WatchResponse {
  return { ...knownSchema.parse(data), whole: z.looseObject({}).parse(data) };
}

/** How a message is shown. */
export type Told = (message: object) => Json;

/**
 * The responses for each watch, in order. Which revisions a response tells together, and of which its header then is, is
 * the server's choice: those that tell events count as one until another comes.
 */
export function watchesOf(stream: string, responses: readonly WatchResponse[], show: Told): readonly [string, Json][] {
  const told = new Map<number, Json[]>();
  let unfinished: number | undefined;
  for (const response of responses) {
    const { watch_id } = response;
    const list = told.get(watch_id) ?? [];
    told.set(watch_id, list);
    if (unfinished !== undefined && unfinished !== watch_id) list.push("came between the fragments of another");
    if (!isHeadedRight(response)) list.push("the header is older than an event");
    if (response.fragment && isTooLarge(response)) list.push("a fragment is too large");
    add(list, show({ ...response.whole, fragment: false }));
    unfinished = response.fragment ? watch_id : undefined;
  }
  return [...told].map(([id, list]) => [`${stream}, watch ${id}`, list]);
}

export function isProgressAnswer({ watch_id, created, canceled }: WatchResponse): boolean {
  return watch_id === -1 && !created && !canceled;
}

/** How many events, and responses without any, came for each watch, by its ID. */
export function howMuch(responses: readonly WatchResponse[]): ReadonlyMap<number, number> {
  const much = new Map<number, number>();
  for (const { watch_id, events } of responses) {
    const items = events.length === 0 ? 1 : events.filter(({ kv }) => !FENCE.equals(kv.key)).length;
    much.set(watch_id, (much.get(watch_id) ?? 0) + items);
  }
  return much;
}

function add(list: Json[], shown: Json): void {
  if (!isJsonObject(shown) || !Array.isArray(shown.events) || shown.events.length === 0) {
    list.push(shown);
    return;
  }
  const events = shown.events.filter((event) => !JSON.stringify(event).includes(FENCE_KEY));
  if (events.length === 0) return;
  const { header, ...told } = shown;
  const last = list.at(-1);
  const earlier = isJsonObject(last) && Array.isArray(last.events) ? last.events : [];
  if (earlier.length > 0) list.pop();
  list.push({ ...told, events: [...earlier, ...events] });
}

function isHeadedRight({ header, events }: WatchResponse): boolean {
  const { cluster_id, member_id, raft_term, revision } = header;
  return ![cluster_id, member_id, raft_term].includes("0") && events.every(({ kv }) => kv.mod_revision <= revision);
}

/** Whether a watch was told the same by two servers, but that the second answered more questions for its progress. */
export function hasMoreProgress(fewer: Json, more: Json): boolean {
  return extras(fewer, more).some(isProgress) && extras(fewer, more).every(isProgress);
}

/** Whether a watch was told the same by two servers, but for deletions that only the second knows of. */
export function hasMoreDeletions(fewer: Json, more: Json): boolean {
  const isDeletion = (item: Json): boolean => isJsonObject(item) && item.type === "DELETE";
  return extras(fewer, more).some(isDeletion) && extras(fewer, more).every(isDeletion);
}

/** What the second was told beyond the first; that something is missing, where it is. */
function extras(fewer: Json, more: Json): readonly Json[] {
  const left = itemsOf(fewer).map((item) => JSON.stringify(item));
  const found = itemsOf(more).filter((item) => {
    const isSame = JSON.stringify(item) === left[0];
    if (isSame) left.shift();
    return !isSame;
  });
  return left.length === 0 ? found : ["something is missing"];
}

/** Responses, but of those that tell events the events. */
function itemsOf(told: Json): readonly Json[] {
  if (!Array.isArray(told)) return [];
  return told.flatMap((response) =>
    isJsonObject(response) && Array.isArray(response.events) && response.events.length > 0
      ? response.events
      : [response],
  );
}

function isProgress(item: Json): boolean {
  return isJsonObject(item) && item.watch_id === "-1" && item.created === false && item.canceled === false;
}

function isTooLarge({ events }: WatchResponse): boolean {
  let bytes = 0;
  for (const { kv, prev_kv } of events) {
    bytes += kv.key.length + kv.value.length + (prev_kv === null ? 0 : prev_kv.key.length + prev_kv.value.length);
  }
  return events.length > 1 && bytes > FRAGMENT_BYTES;
}
