/** Text within messages as Go's strconv.Quote (`%q`) writes it. */
import { type Bytes, text } from "../../base/bytes.ts";

const NAMED: Readonly<Record<string, string>> = {
  ...{ "\x07": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v" },
  ...{ '"': '\\"', "\\": "\\\\" },
};
const PRINTED = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const REPLACEMENT = "\ufffd";

/** For the few bytes that a message shows: it takes them one by one. */
export function goQuote(bytes: Bytes): string {
  let quoted = "";
  for (let place = 0; place < bytes.length; ) {
    const size = characterSize(bytes, place);
    const piece = bytes.subarray(place, place + Math.max(size, 1));
    quoted += size === 0 ? `\\x${hex(piece[0], 2)}` : quotedCharacter(text(piece));
    place += piece.length;
  }
  return `"${quoted}"`;
}

/** How many bytes the character has that begins at `place`; 0 where there is no UTF-8. */
function characterSize(bytes: Bytes, place: number): number {
  for (let size = 1; size <= 4 && place + size <= bytes.length; size++) {
    const piece = bytes.subarray(place, place + size);
    if (text(piece) !== REPLACEMENT || Buffer.from(REPLACEMENT).equals(piece)) {
      if ([...text(piece)].length === 1) return size;
    }
  }
  return 0;
}

function quotedCharacter(character: string): string {
  const named = NAMED[character];
  if (named !== undefined) return named;
  if (PRINTED.test(character)) return character;
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x80) return `\\x${hex(point, 2)}`;
  return point < 0x10000 ? `\\u${hex(point, 4)}` : `\\U${hex(point, 8)}`;
}

function hex(number: number | undefined, digits: number): string {
  return (number ?? 0).toString(16).padStart(digits, "0");
}
