/** Form fields of a request, as Go's net/http reads them for etcd: from the body of PUT and POST, and from the query. */
import { type Bytes, NO_BYTES, text } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_FORM_FIELDS, V2_BODY_BYTES } from "../../base/limits.ts";
import type { Exchange } from "../face.ts";
import { goQuote } from "./go-quote.ts";
import { FORM_TYPE, mediaTypeOf } from "./media-type.ts";

const METHODS_WITH_FORM: readonly string[] = ["PUT", "POST", "PATCH"];

const AMPERSAND = 0x26;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

/** Fields by name; of a repeated one the first counts, and the body goes before the query. */
export interface Form {
  /** The text of a field (malformed UTF-8 as U+FFFD), or undefined where there is none. */
  first(name: string): string | undefined;
  /** The bytes of a field, or undefined where there is none. */
  bytes(name: string): Bytes | undefined;
}

/**
 * Reads query and body: at once where all of the body has arrived. Errors: `invalidField` (a malformed percent sign or Content-Type, a bare semicolon, or too many
 * fields), `tooLarge`.
 */
export function readForm(exchange: Exchange): Form | Promise<Form> {
  const body = hasForm(exchange) ? readBody(exchange) : NO_BYTES;
  return body instanceof Promise
    ? body.then((arrived) => fieldsOf(arrived, exchange.query))
    : fieldsOf(body, exchange.query);
}

function fieldsOf(body: Bytes, query: string): Form {
  const fields = new Fields();
  fields.add(body);
  if (query !== "") fields.add(Buffer.from(query, "latin1"));
  return fields;
}

function hasForm({ request: { method = "", headers } }: Exchange): boolean {
  return METHODS_WITH_FORM.includes(method) && mediaTypeOf(headers["content-type"]) === FORM_TYPE;
}

/** The whole body, in bytes: at once where all of it has arrived. Error: `tooLarge`. */
export function readBody({ request, maxBodyBytes = V2_BODY_BYTES }: Exchange): Bytes | Promise<Bytes> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > maxBodyBytes) throw tooLarge(request, maxBodyBytes);
  if (!request.complete) return readChunks(request, maxBodyBytes);
  // Unread, no more than Node keeps for a reader can have arrived: little to throw away where it is too much.
  const body: Bytes | null = request.read();
  if (body !== null && body.length > maxBodyBytes) throw tooLarge(request, maxBodyBytes);
  return body ?? NO_BYTES;
}

async function readChunks(request: Exchange["request"], maxBodyBytes: number): Promise<Bytes> {
  const chunks: Bytes[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const bytes: Bytes = chunk;
    size += bytes.length;
    if (size > maxBodyBytes) throw tooLarge(request, maxBodyBytes);
    chunks.push(bytes);
  }
  return chunks.length === 1 ? (chunks[0] ?? NO_BYTES) : Buffer.concat(chunks);
}

/** The rest of the body is read and dropped, so that the answer arrives and the connection can go on. */
function tooLarge(request: Exchange["request"], limit: number): MusterError {
  request.resume();
  return new MusterError("tooLarge", `Send at most ${limit} bytes: the request's body is larger`);
}

class Fields implements Form {
  readonly #fields = new Map<string, Bytes>();

  first(name: string): string | undefined {
    const value = this.#fields.get(name);
    return value === undefined ? undefined : text(value);
  }

  bytes(name: string): Bytes | undefined {
    return this.#fields.get(name);
  }

  /** The fields of a body or a query; those that are there already stay. */
  add(encoded: Bytes): void {
    // Some take it for a separator, so that Go refuses it wherever it stands.
    if (encoded.includes(SEMICOLON)) {
      throw invalidForm("Write semicolons as %3B", "invalid semicolon separator in query");
    }
    let separated = 0;
    for (let start = 0; start < encoded.length; ) {
      // Empty ones count too: finding them costs as much.
      if (++separated > MAX_FORM_FIELDS) throw tooManyFields();
      const ampersand = encoded.indexOf(AMPERSAND, start);
      const end = ampersand === -1 ? encoded.length : ampersand;
      if (end > start) this.#addField(encoded, start, end);
      start = end + 1;
    }
  }

  #addField(encoded: Bytes, start: number, end: number): void {
    let equals = start;
    while (equals < end && encoded[equals] !== EQUALS) equals++;
    const name = text(unescapeBytes(encoded, { start, end: equals }));
    const value = unescapeBytes(encoded, { start: Math.min(equals + 1, end), end });
    if (!this.#fields.has(name)) this.#fields.set(name, value);
  }
}

function tooManyFields(): MusterError {
  return invalidForm("Send the fields of one request only", `there are more than ${MAX_FORM_FIELDS} fields`);
}

function invalidForm(whatToDo: string, cause: string): MusterError {
  return new MusterError("invalidField", `${whatToDo}: ${cause}`, { details: { v2Code: 210, cause } });
}

/**
 * Undoes percent signs and `+` for a space, in a part of the bytes or all of them; what they spell need not be UTF-8.
 * Error: `invalidField`.
 */
export function unescapeBytes(
  encoded: Bytes,
  {
    start = 0,
    end = encoded.length,
    plusIsSpace = true,
  }: { readonly start?: number; readonly end?: number; readonly plusIsSpace?: boolean } = {},
): Bytes {
  if (start >= end) return NO_BYTES;
  const plain = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let place = start; place < end; place++) {
    const byte = encoded[place] ?? 0;
    if (byte === PERCENT) {
      plain[length++] = hexByte(encoded, place, end);
      place += 2;
    } else {
      plain[length++] = byte === PLUS && plusIsSpace ? SPACE : byte;
    }
  }
  // What is kept of it is to take no more memory than it has bytes.
  return length === plain.length ? plain : Buffer.from(plain.subarray(0, length));
}

function hexByte(encoded: Bytes, percent: number, end: number): number {
  const high = percent + 1 < end ? hexDigit(encoded[percent + 1]) : -1;
  const low = percent + 2 < end ? hexDigit(encoded[percent + 2]) : -1;
  if (high !== -1 && low !== -1) return high * 16 + low;
  const shown = goQuote(encoded.subarray(percent, Math.min(percent + 3, end)));
  throw invalidForm("Write percent signs as %25", `invalid URL escape ${shown}`);
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
