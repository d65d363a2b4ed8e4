/** The fields of a request, once it is known that they are those of one (RFC 9113, 8.2 and 8.3). */
import type { Field } from "./field.ts";
import type { RequestFields } from "./server-stream.ts";

export interface RequestHead {
  readonly fields: RequestFields;
  /** What the request says that its body has, in bytes; undefined where it says nothing. */
  readonly contentLength: number | undefined;
}

const PSEUDO_FIELDS: ReadonlySet<string> = new Set([":method", ":scheme", ":path", ":authority"]);

/** Reads the requests of one connection, whose client sends the same fields again and again. */
export class RequestHeads {
  #list: readonly Field[] = [];
  #head: RequestHead | undefined;

  /** Undefined where it is malformed. */
  read(list: readonly Field[]): RequestHead | undefined {
    if (!areSame(list, this.#list)) {
      this.#head = readRequestHead(list);
      this.#list = list;
    }
    return this.#head;
  }
}

/** What stands in a table of fields is the same object each time. */
function areSame(one: readonly Field[], other: readonly Field[]): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) {
    if (one[at] !== other[at]) return false;
  }
  return true;
}

function readRequestHead(list: readonly Field[]): RequestHead | undefined {
  const fields: Record<string, string | undefined> = {};
  let isBehindPseudo = false;
  for (const { name, value, isSound } of list) {
    if (!isSound) return undefined;
    if (name.charCodeAt(0) !== COLON) {
      isBehindPseudo = true;
      fields[name] = Object.hasOwn(fields, name) ? joined(name, fields[name], value) : value;
    } else {
      if (isBehindPseudo || fields[name] !== undefined || !PSEUDO_FIELDS.has(name)) return undefined;
      fields[name] = value;
    }
  }
  const contentLength = lengthIn(fields["content-length"]);
  if (Number.isNaN(contentLength) || !isComplete(fields)) return undefined;
  return { fields, contentLength };
}

const COLON = 0x3a;

/** Trailers have no pseudo-fields. */
export function areTrailers(list: readonly Field[]): boolean {
  return list.every(({ name, isSound }) => isSound && name.charCodeAt(0) !== COLON);
}

function joined(name: string, before: string | undefined, value: string): string {
  return `${before}${name === "cookie" ? "; " : ", "}${value}`;
}

function isComplete(fields: RequestFields): boolean {
  const { ":method": method, ":scheme": scheme, ":path": path, ":authority": authority } = fields;
  // CONNECT names who is to be connected to, and nothing else (8.5).
  if (method === "CONNECT") return scheme === undefined && path === undefined && authority !== undefined;
  return method !== undefined && method !== "" && scheme !== undefined && path !== undefined && path !== "";
}

/** NaN where it is no length. */
function lengthIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}
