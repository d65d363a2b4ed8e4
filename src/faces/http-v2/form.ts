/** Form fields of a request, as Go's net/http reads them for etcd: from the body of PUT and POST, and from the query. */
import { type Bytes, NO_BYTES, text } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_FORM_FIELDS, V2_BODY_BYTES } from "../../base/limits.ts";
import type { Exchange } from "../face.ts";
import { goQuote } from "./go-quote.ts";
import { mediaTypeOf } from "./media-type.ts";

const FORM_TYPE = "application/x-www-form-urlencoded";
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
 * Reads query and body. Errors: `invalidField` (a malformed percent sign or Content-Type, a bare semicolon, or too many
 * fields), `tooLarge`.
 */
export async function readForm(exchange: Exchange): Promise<Form> {
  const { request, query } = exchange;
  const fields = new Map<string, Bytes>();
  if (METHODS_WITH_FORM.includes(request.method ?? "") && mediaTypeOf(request.headers["content-type"]) === FORM_TYPE) {
    addFields(fields, await readBody(exchange));
  }
  if (query !== "") addFields(fields, Buffer.from(query, "latin1"));
  return {
    first: (name) => {
      const value = fields.get(name);
      return value === undefined ? undefined : text(value);
    },
    bytes: (name) => fields.get(name),
  };
}

/** The whole body, in bytes. Error: `tooLarge`. */
export async function readBody({ request, maxBodyBytes = V2_BODY_BYTES }: Exchange): Promise<Bytes> {
  const declared = Number(request.headers["content-length"] ?? 0);
  const chunks: Bytes[] = [];
  let size = 0;
  if (declared > maxBodyBytes) throw tooLarge(request, maxBodyBytes);
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

function addFields(fields: Map<string, Bytes>, encoded: Bytes): void {
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
    if (end > start) addField(fields, encoded.subarray(start, end));
    start = end + 1;
  }
}

function tooManyFields(): MusterError {
  return invalidForm("Send the fields of one request only", `there are more than ${MAX_FORM_FIELDS} fields`);
}

function invalidForm(whatToDo: string, cause: string): MusterError {
  return new MusterError("invalidField", `${whatToDo}: ${cause}`, { details: { v2Code: 210, cause } });
}

function addField(fields: Map<string, Bytes>, pair: Bytes): void {
  const equals = pair.indexOf(EQUALS);
  const name = text(unescapeBytes(equals === -1 ? pair : pair.subarray(0, equals)));
  const value = equals === -1 ? NO_BYTES : unescapeBytes(pair.subarray(equals + 1));
  if (!fields.has(name)) fields.set(name, value);
}

/** Undoes percent signs and `+` for a space; what they spell need not be UTF-8. Error: `invalidField`. */
export function unescapeBytes(
  encoded: Bytes,
  options: { readonly plusIsSpace: boolean } = { plusIsSpace: true },
): Bytes {
  const plain = Buffer.allocUnsafe(encoded.length);
  let length = 0;
  for (let place = 0; place < encoded.length; place++) {
    const byte = encoded[place] ?? 0;
    if (byte === PERCENT) {
      plain[length++] = hexByte(encoded, place);
      place += 2;
    } else {
      plain[length++] = byte === PLUS && options.plusIsSpace ? SPACE : byte;
    }
  }
  return plain.subarray(0, length);
}

function hexByte(encoded: Bytes, percent: number): number {
  const high = hexDigit(encoded[percent + 1]);
  const low = hexDigit(encoded[percent + 2]);
  if (high !== -1 && low !== -1) return high * 16 + low;
  const shown = goQuote(encoded.subarray(percent, percent + 3));
  throw invalidForm("Write percent signs as %25", `invalid URL escape ${shown}`);
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
