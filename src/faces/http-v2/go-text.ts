/** Text as Go's encoding/json writes it, in time that grows only with its length: anybody may write any value. */
import { type Bytes, text, utf8 } from "../../base/bytes.ts";
import { append } from "../../base/go-text.ts";

const ESCAPED_BY_GO = /[<>&\u2028\u2029]|\\[bf]/;

/**
 * A text as a JSON string with the escapes of <, >, & and of the two separators that JavaScript once took for a line's
 * end, and without the short ones for a backspace and a form feed, which Go learned later than etcd v2 lived.
 */
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
const BACKSPACE: Escape = { size: 2, bytes: utf8("\\u0008") };
const FORM_FEED: Escape = { size: 2, bytes: utf8("\\u000c") };
const BACKSLASH: Escape = { size: 2, bytes: utf8("\\\\") };
const LONGEST_ESCAPE = 6;

function escapeAt(quoted: Bytes, place: number): Escape | undefined {
  switch (quoted[place]) {
    case 0x3c:
      return LESS;
    case 0x3e:
      return GREATER;
    case 0x26:
      return AMPERSAND;
    case 0x5c:
      return afterBackslash(quoted[place + 1]);
    case 0xe2:
      return separatorAt(quoted, place);
    default:
      return undefined;
  }
}

/** A backslash that is itself escaped is taken as a whole, so that its second half escapes nothing. */
function afterBackslash(next: number | undefined): Escape | undefined {
  if (next === 0x62) return BACKSPACE;
  if (next === 0x66) return FORM_FEED;
  return next === 0x5c ? BACKSLASH : undefined;
}

function separatorAt(quoted: Bytes, place: number): Escape | undefined {
  if (quoted[place + 1] !== 0x80) return undefined;
  if (quoted[place + 2] === 0xa8) return LINE_SEPARATOR;
  return quoted[place + 2] === 0xa9 ? PARAGRAPH_SEPARATOR : undefined;
}
