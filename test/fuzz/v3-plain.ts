/** What etcd's v3 services answer, in a form in which two servers can be held against each other. */
import { isJsonObject, type Json, type JsonObject } from "../conformance/json.ts";
import type { V3Step } from "./v3-steps.ts";

const REVISIONS = new Set(["revision", "create_revision", "mod_revision", "compact_revision"]);
/** What each server has of its own. */
const IDENTITIES = new Set(["cluster_id", "member_id", "raft_term"]);
/** Beyond it, a text is told by its length and how it begins. */
const MAX_TEXT_CHARS = 1_000;

/** What was asked, and the server's revision when the program began. */
export interface Context {
  readonly step: V3Step;
  readonly start: number;
}

interface Place extends Context {
  readonly name: string;
}

/** A message as JSON: bytes as text, revisions counted from the start, what is each server's own only as there or not. */
export function plainMessage(message: object, context: Context): JsonObject {
  return fields(message, { name: "", ...context });
}

function plain(part: unknown, at: Place): Json {
  if (part instanceof Uint8Array) return text(part);
  if (Array.isArray(part))
    return listed(
      part.map((item) => plain(item, at)),
      at.name,
    );
  if (typeof part === "object" && part !== null) return fields(part, at);
  if (typeof part !== "string") return typeof part === "boolean" || typeof part === "number" ? part : null;
  if (REVISIONS.has(at.name)) return part === "0" ? part : `S+${Number(part) - at.start}`;
  return IDENTITIES.has(at.name) ? part !== "0" : part;
}

function text(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.subarray(0, MAX_TEXT_CHARS)).toString("latin1");
  return bytes.length > MAX_TEXT_CHARS ? `${bytes.length} bytes: ${start.slice(0, 1)}…` : start;
}

function fields(part: object, at: Place): JsonObject {
  const plainFields = Object.entries(part)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]): [string, Json] => [name, plain(value, { ...at, name })]);
  return withoutChance(Object.fromEntries(plainFields), at.step);
}

/** Lists that come in any order from etcd, in one. */
function listed(items: readonly Json[], name: string): Json[] {
  const order = (a: Json, b: Json) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  return name === "keys" || name === "leases" ? [...items].sort(order) : [...items];
}

/** How much time a lease has left, and which ID it was given. */
function withoutChance(answer: JsonObject, { call, request }: V3Step): JsonObject {
  if (call === "Lease/LeaseTimeToLive" && Number(answer.TTL) > 0) return { ...answer, TTL: "left" };
  if (call === "Lease/LeaseLeases" && "ID" in answer && String(answer.ID).length > 3) return { ID: "chosen" };
  if (call !== "Lease/LeaseGrant" || request.ID !== undefined || !isJsonObject(answer) || !("ID" in answer))
    return answer;
  return { ...answer, ID: Number(answer.ID) > 0 ? "chosen" : (answer.ID ?? null) };
}
