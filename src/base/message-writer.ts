/**
 * Protobuf messages as bytes: what the generated code writes them with, in place of @bufbuild/protobuf's writer, of which
 * it has what it needs. Numbers of 64 bits are written as they are, not by way of bigints, and what is written comes as a
 * piece of Node's pool: an array of its own for each message costs more than to write it.
 */

/** How many bytes a new writer has room for; most messages are smaller. */
const FIRST_BYTES = 256;

/** A varint of 64 bits has so many bytes at most. */
const MOST_VARINT_BYTES = 10;

/** `fork` leaves room for the length of what follows, as it is below 128; `join` makes more of it where it is not. */
const SHORT_LENGTH_BYTES = 1;

/** To take a bigint apart. */
const WORDS = new DataView(new ArrayBuffer(8));

export class MessageWriter {
  #bytes: Buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;
  /** Where messages within the message begin that have not ended. */
  readonly #begins: number[] = [];

  /** All that was written; the writer begins anew. */
  finish(): Buffer {
    const bytes = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    this.#begins.length = 0;
    return bytes;
  }

  /** Begins a message within the message; `join` ends it. */
  fork(): this {
    this.#begins.push(this.#at);
    this.#reserve(SHORT_LENGTH_BYTES);
    this.#at += SHORT_LENGTH_BYTES;
    return this;
  }

  /** Ends the message that was begun last, and writes its length before it. */
  join(): this {
    const begin = this.#begins.pop();
    if (begin === undefined) throw new RangeError("end no message that has not been begun");
    const end = this.#at;
    const length = end - begin - SHORT_LENGTH_BYTES;
    const lengthBytes = varintBytes(length);
    // Here, behind all that is written: what makes room keeps only what lies before the place that is written to.
    this.#reserve(MOST_VARINT_BYTES);
    if (lengthBytes > SHORT_LENGTH_BYTES) {
      this.#bytes.copyWithin(begin + lengthBytes, begin + SHORT_LENGTH_BYTES, end);
    }
    this.#at = begin;
    this.uint32(length);
    this.#at += length;
    return this;
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  bytes(value: Uint8Array): this {
    return this.uint32(value.length).raw(value);
  }

  /** In UTF-8. */
  string(value: string): this {
    const length = Buffer.byteLength(value);
    this.uint32(length);
    this.#reserve(length);
    this.#at += this.#bytes.write(value, this.#at);
    return this;
  }

  bool(value: boolean): this {
    this.#reserve(1);
    this.#bytes[this.#at++] = value ? 1 : 0;
    return this;
  }

  /** Error: RangeError for what is no whole number of 32 bits without a sign. So are those of the others. */
  uint32(value: number): this {
    let rest = value >>> 0;
    if (rest !== value) throw outOfRange(value);
    this.#reserve(MOST_VARINT_BYTES);
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
    return this;
  }

  int32(value: number): this {
    if ((value | 0) !== value) throw outOfRange(value);
    return this.int64(value);
  }

  int64(value: number | bigint): this {
    if (typeof value === "number") return isPlain(value) ? this.#plain(value) : this.int64(BigInt(value));
    WORDS.setBigInt64(0, value);
    if (WORDS.getBigInt64(0) !== value) throw outOfRange(value);
    return this.#words();
  }

  uint64(value: number | bigint): this {
    if (typeof value === "number") return isPlain(value) ? this.#plain(value) : this.uint64(BigInt(value));
    WORDS.setBigUint64(0, value);
    if (WORDS.getBigUint64(0) !== value) throw outOfRange(value);
    return this.#words();
  }

  /** A number that `isPlain`. */
  #plain(value: number): this {
    if (value <= 0xffff_ffff) return this.uint32(value);
    this.#reserve(MOST_VARINT_BYTES);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#at++] = rest;
    return this;
  }

  /** What WORDS holds. */
  #words(): this {
    let high = WORDS.getUint32(0);
    let low = WORDS.getUint32(4);
    this.#reserve(MOST_VARINT_BYTES);
    while (high !== 0) {
      this.#bytes[this.#at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    return this.uint32(low);
  }

  /** Makes room for so many bytes more. */
  #reserve(bytes: number): void {
    const wanted = this.#at + bytes;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

/** Whether a number can be taken apart as it is; others, as what lies just beyond the safe ones, go by way of bigints. */
function isPlain(value: number): boolean {
  return value >= 0 && Number.isSafeInteger(value);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
}

function outOfRange(value: number | bigint): RangeError {
  return new RangeError(`too large for its field, or no whole number: ${value}`);
}
