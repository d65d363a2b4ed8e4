/** Brings a JSON body of the v2 API into the transcripts' form: named indices, `<expiration>`, nodes in order of key. */
import type { IndexNames } from "./index-names.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import type { TextNames } from "./text-names.ts";

const EXPIRATION_TOLERANCE_MS = 2000;
const COMPARE_FAILED = 101;
const EVENT_INDEX_CLEARED = 401;

export interface BodyContext {
  readonly indices: IndexNames;
  readonly texts: TextNames;
  /** When the case began and when this body came, in ms since 1970: an expiration lies between, plus its ttl. */
  readonly beganAt: number;
  readonly receivedAt: number;
  /** Whether the order of nodes was asked for and so is compared. */
  readonly keepsOrder: boolean;
  /** Whether the request had a prevIndex, so that an error's cause holds indices. */
  readonly comparesIndex: boolean;
}

export function nameBody(value: Json, context: BodyContext): Json {
  if (Array.isArray(value)) {
    return value.map((item) => nameBody(item, context));
  }
  if (!isJsonObject(value)) {
    return typeof value === "string" ? context.texts(value) : value;
  }
  const named: JsonObject = {};
  for (const [name, field] of Object.entries(value)) {
    named[name] = nameField(name, field, { owner: value, context });
  }
  return named;
}

interface Place {
  readonly owner: JsonObject;
  readonly context: BodyContext;
}

function nameField(name: string, value: Json, { owner, context }: Place): Json {
  switch (name) {
    case "createdIndex":
    case "modifiedIndex":
      return typeof value === "number" ? context.indices.own(value) : nameBody(value, context);
    case "index":
      return typeof value === "number" && "errorCode" in owner
        ? context.indices.store(value)
        : nameBody(value, context);
    case "expiration":
      return nameExpiration(value, owner, context);
    case "cause":
      return typeof value === "string" ? nameCause(value, owner, context) : nameBody(value, context);
    case "nodes":
      return nameNodes(value, context);
    case "prevNode":
      return nameBody(owner.action === "expire" ? withoutSpentTtl(value) : value, context);
    default:
      return nameBody(value, context);
  }
}

function nameNodes(value: Json, context: BodyContext): Json {
  const nodes = nameBody(value, context);
  if (!Array.isArray(nodes) || context.keepsOrder) {
    return nodes;
  }
  const keyOf = (node: Json) => (isJsonObject(node) ? String(node.key) : "");
  return nodes.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0));
}

/** The ttl that an expired node had left is 0 or less, by how late its end was noticed: not compared. */
function withoutSpentTtl(node: Json): Json {
  if (!isJsonObject(node) || typeof node.ttl !== "number" || node.ttl > 0) {
    return node;
  }
  const { ttl: _spent, ...rest } = node;
  return rest;
}

function nameExpiration(value: Json, owner: JsonObject, context: BodyContext): Json {
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) {
    return `<not a time in UTC: ${JSON.stringify(value)}>`;
  }
  // Date.parse takes at most milliseconds.
  const at = Date.parse(value.replace(/(\.\d{3})\d+/, "$1"));
  const grantedAt = at - (typeof owner.ttl === "number" ? owner.ttl * 1000 : 0);
  const earliest = context.beganAt - EXPIRATION_TOLERANCE_MS;
  const latest = context.receivedAt + EXPIRATION_TOLERANCE_MS;
  return grantedAt >= earliest && grantedAt <= latest ? "<expiration>" : `<expiration off: ${value}>`;
}

function nameCause(cause: string, owner: JsonObject, context: BodyContext): string {
  const { indices, texts } = context;
  const nearName = (digits: string) => (indices.isNear(Number(digits)) ? indices.own(Number(digits)) : digits);
  if (owner.errorCode === COMPARE_FAILED && context.comparesIndex) {
    return texts(cause).replace(
      /\[(\d+) != (\d+)\]$/,
      (_, asked, found) => `[${nearName(asked)} != ${nearName(found)}]`,
    );
  }
  if (owner.errorCode === EVENT_INDEX_CLEARED) {
    return cause.replace(
      /\[(\d+)\/(\d+)\]/,
      (_, oldest, asked) => `[${indices.own(Number(oldest))}/${nearName(asked)}]`,
    );
  }
  return texts(cause);
}
