/** Fields as header blocks that need no table (RFC 7541 section 6). */
import { Field } from "./field.ts";
import { STATIC_FIELDS } from "./hpack-static-table.ts";

/** First octets: a field of the static table, and one that no table is to hold, whose name may be of the table. */
const INDEXED = 0x80;
const LITERAL_MASK = 0x0f;
const LENGTH_MASK = 0x7f;

/** An integer has so many octets at most, its first included. */
const MOST_INTEGER_OCTETS = 6;
/** Beside name and value: where the name is in the table, or that it is not, and both their lengths. */
const MOST_FIELD_OVERHEAD = 3 * MOST_INTEGER_OCTETS;

/** A block begins with so much room; most need no more. */
const FIRST_BYTES = 256;

/** Numbers of the static table: of whole fields by name and value, and of the first field with a name. */
const INDEX_OF_NAME = new Map<string, number>();
const INDEX_OF_FIELD = new Map<string, Map<string, number>>();

STATIC_FIELDS.forEach(({ name, value }, at) => {
  const index = at + 1;
  if (!INDEX_OF_NAME.has(name)) INDEX_OF_NAME.set(name, index);
  const values = INDEX_OF_FIELD.get(name) ?? new Map<string, number>();
  INDEX_OF_FIELD.set(name, values.set(value, index));
});

/**
 * A header block of these fields, in their order. It adds nothing to the peer's table and takes nothing from it, so the
 * same block serves all connections.
 * @throws RangeError for a field that makes a message malformed: capitals in its name, control characters, spaces around
 * its value or characters beyond latin1 in it, or one that speaks of the connection. Callers encode what clients choose.
 */
export function encodeFields(fields: Iterable<readonly [name: string, value: string]>): Uint8Array {
  const writer = new BlockWriter();
  for (const [name, value] of fields) {
    if (!new Field(name, value).isSound) {
      throw new RangeError(`Encode ${JSON.stringify(name)} so that HTTP/2 can carry it: ${JSON.stringify(value)}`);
    }
    writer.field(name, value);
  }
  return writer.finish();
}

class BlockWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;

  field(name: string, value: string): void {
    this.#reserve(name.length + value.length + MOST_FIELD_OVERHEAD);
    const index = INDEX_OF_FIELD.get(name)?.get(value);
    if (index !== undefined) {
      this.#bytes[this.#at++] = INDEXED | index;
      return;
    }
    const nameIndex = INDEX_OF_NAME.get(name) ?? 0;
    this.#integer(nameIndex, LITERAL_MASK);
    if (nameIndex === 0) this.#string(name);
    this.#string(value);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  #string(text: string): void {
    this.#integer(text.length, LENGTH_MASK);
    const bytes = this.#bytes;
    const begin = this.#at;
    // Most are short: then this takes a fraction of what Buffer.write does.
    for (let at = 0; at < text.length; at++) bytes[begin + at] = text.charCodeAt(at);
    this.#at = begin + text.length;
  }

  /** In an octet whose other bits are zeros, and those after it as needed (section 5.1). */
  #integer(value: number, mask: number): void {
    if (value < mask) {
      this.#bytes[this.#at++] = value;
      return;
    }
    this.#bytes[this.#at++] = mask;
    let rest = value - mask;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  #reserve(bytes: number): void {
    const wanted = this.#at + bytes;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
