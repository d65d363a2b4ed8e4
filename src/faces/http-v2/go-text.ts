/** Text as Go's encoding/json writes it, in time that grows only with its length: anybody may write any value. */
import { type Bytes, text, utf8 } from "../../base/bytes.ts";

const REPLACEMENT = "\ufffd";
const REPLACEMENT_BYTES = utf8(REPLACEMENT);

/** Bytes as text; of what is no UTF-8 Go replaces each byte, where others replace what looks like the start of a character. */
export function goText(bytes: Bytes): string {
  const plain = text(bytes);
  return plain.includes(REPLACEMENT) ? text(replaceEachByte(bytes)) : plain;
}

/** In bytes, so that all is decoded at once: a call for each character takes the longer the more of them there are. */
function replaceEachByte(bytes: Bytes): Bytes {
  const sound = Buffer.allocUnsafe(bytes.length * REPLACEMENT_BYTES.length);
  let length = 0;
  for (let place = 0; place < bytes.length; ) {
    const size = characterSize(bytes, place);
    if (size === 0) length = append(sound, length, REPLACEMENT_BYTES);
    for (const end = place + size; place < end; place++) sound[length++] = bytes[place] ?? 0;
    if (size === 0) place++;
  }
  return sound.subarray(0, length);
}

/** Puts a few bytes behind `length` others, and gives the new length. Byte by byte: `set` takes longer for so few. */
function append(bytes: Uint8Array, length: number, few: Bytes): number {
  let end = length;
  for (let place = 0; place < few.length; place++) bytes[end++] = few[place] ?? 0;
  return end;
}

/** The least code point that a character of so many bytes may have: one that needs fewer is no UTF-8. */
const LEAST_POINTS = [0, 0, 0x80, 0x800, 0x10000] as const;

/** How many bytes the character has that begins at `place`; 0 where none does. */
function characterSize(bytes: Bytes, place: number): number {
  const first = bytes[place] ?? 0;
  if (first < 0x80) return 1;
  const size = sizeAnnounced(first);
  let point = first & (0x7f >> size);
  for (let next = place + 1; next < place + size; next++) {
    const byte = bytes[next] ?? 0;
    if ((byte & 0xc0) !== 0x80) return 0;
    point = (point << 6) | (byte & 0x3f);
  }
  const isSurrogate = point >= 0xd800 && point <= 0xdfff;
  return point >= (LEAST_POINTS[size] ?? 0) && point <= 0x10ffff && !isSurrogate ? size : 0;
}

function sizeAnnounced(first: number): number {
  if (first >= 0xf8 || first < 0xc0) return 0;
  if (first >= 0xf0) return 4;
  return first >= 0xe0 ? 3 : 2;
}

const ESCAPED_BY_GO = /[<>&\u2028\u2029]/;

/** A text as a JSON string with the escapes of <, >, & and of the two separators that JavaScript once took for a line's end. */
export function goQuoted(plain: string): string {
  const quoted = JSON.stringify(plain);
  return ESCAPED_BY_GO.test(quoted) ? text(escapeBytes(utf8(quoted))) : quoted;
}

/** In bytes: a replacing function that is called for each character takes ten times as long. */
function escapeBytes(quoted: Bytes): Bytes {
  const escaped = Buffer.allocUnsafe(quoted.length * LONGEST_ESCAPE);
  let length = 0;
  for (let place = 0; place < quoted.length; ) {
    const found = escapeAt(quoted, place);
    if (found === undefined) {
      escaped[length++] = quoted[place++] ?? 0;
    } else {
      length = append(escaped, length, found.bytes);
      place += found.size;
    }
  }
  return escaped.subarray(0, length);
}

interface Escape {
  /** How many bytes it stands for. */
  readonly size: number;
  readonly bytes: Bytes;
}

const LESS: Escape = { size: 1, bytes: utf8("\\u003c") };
const GREATER: Escape = { size: 1, bytes: utf8("\\u003e") };
const AMPERSAND: Escape = { size: 1, bytes: utf8("\\u0026") };
const LINE_SEPARATOR: Escape = { size: 3, bytes: utf8("\\u2028") };
const PARAGRAPH_SEPARATOR: Escape = { size: 3, bytes: utf8("\\u2029") };
const LONGEST_ESCAPE = 6;

function escapeAt(quoted: Bytes, place: number): Escape | undefined {
  switch (quoted[place]) {
    case 0x3c:
      return LESS;
    case 0x3e:
      return GREATER;
    case 0x26:
      return AMPERSAND;
    case 0xe2:
      return separatorAt(quoted, place);
    default:
      return undefined;
  }
}

function separatorAt(quoted: Bytes, place: number): Escape | undefined {
  if (quoted[place + 1] !== 0x80) return undefined;
  if (quoted[place + 2] === 0xa8) return LINE_SEPARATOR;
  return quoted[place + 2] === 0xa9 ? PARAGRAPH_SEPARATOR : undefined;
}
