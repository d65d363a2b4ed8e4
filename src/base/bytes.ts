/** Byte strings: keys and values are bytes, compared as unsigned bytes, never as text. */

export type Bytes = Uint8Array;

export const NO_BYTES: Bytes = new Uint8Array(0);

/** A byte order mark is a character like others: values and keys keep theirs. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The UTF-8 bytes of a text. */
export function utf8(text: string): Bytes {
  return Buffer.from(text, "utf8");
}

/** The text of UTF-8 bytes; malformed sequences become U+FFFD. */
export function text(bytes: Bytes): string {
  return decoder.decode(bytes);
}

/**
 * A copy that shares its memory with other such copies: bytes that are kept in great numbers cost the garbage collector
 * much less so than each in memory of its own.
 */
export function packed(bytes: Bytes): Buffer {
  return Buffer.from(bytes);
}

/** What others may keep is at most so many times what they asked to keep. */
const MOST_KEPT_TIMES = 4;

/** Bytes to be kept: a copy where they are a small part of the memory that they share with others. */
export function apart(bytes: Buffer): Buffer {
  return bytes.length * MOST_KEPT_TIMES < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes;
}

/** Order of two byte strings, as memcmp: negative, zero or positive. */
export function compareBytes(a: Bytes, b: Bytes): number {
  return Buffer.compare(a, b);
}

/** Whether two byte strings are the same. */
export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Whether `bytes` begins with `prefix`. */
export function startsWith(bytes: Bytes, prefix: Bytes): boolean {
  return bytes.length >= prefix.length && Buffer.compare(bytes.subarray(0, prefix.length), prefix) === 0;
}

/**
 * The end of the half-open range of all byte strings that begin with `prefix`, or null where there is none because the
 * prefix is empty or all 0xff (then the range has no end).
 */
export function prefixEnd(prefix: Bytes): Bytes | null {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const byte = prefix[last] ?? 0;
    if (byte < 0xff) {
      const end = Buffer.from(prefix.subarray(0, last + 1));
      end[last] = byte + 1;
      return end;
    }
  }
  return null;
}
