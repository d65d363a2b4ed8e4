/** Bytes as text where Go's encoding/json would be asked, in time that grows only with their length: anybody may write any value. */
import { type Bytes, text, utf8 } from "./bytes.ts";

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
export function append(bytes: Uint8Array, length: number, few: Bytes): number {
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
