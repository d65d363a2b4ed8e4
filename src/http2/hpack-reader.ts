/** Integers and strings of a header block (RFC 7541 section 5). */
import { HpackError } from "./hpack-error.ts";
import { decodeHuffman, mostHuffmanBytes } from "./hpack-huffman.ts";

const NOTHING = Buffer.alloc(0);

/** No number of a header block can mean anything beyond this. */
const MOST_INTEGER = 0x7fff_ffff;

/** So many octets after the first hold any such number; more are zeros, of which there could be any number. */
const MOST_INTEGER_OCTETS = 5;

const CONTINUES = 0x80;
const IS_HUFFMAN = 0x80;
const LENGTH_MASK = 0x7f;

/** For strings that are soon copied; longer ones get a place of their own. */
const SCRATCH = Buffer.allocUnsafeSlow(4_096);

/** Reads one block from its beginning to its end. */
export class HpackReader {
  #block: Buffer = NOTHING;
  #at = 0;

  begin(block: Buffer): void {
    this.#block = block;
    this.#at = 0;
  }

  /** Lets go of the block. */
  end(): void {
    this.#block = NOTHING;
    this.#at = 0;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#block.length;
  }

  /** @throws HpackError where the block ends before */
  octet(): number {
    const octet = this.#block[this.#at];
    if (octet === undefined) throw truncated();
    this.#at++;
    return octet;
  }

  /**
   * The integer that begins in `first`, an octet that has been read, with the bits of `mask` (section 5.1).
   * @throws HpackError also for one beyond 2^31 - 1, and for one with more octets than that needs
   */
  integer(first: number, mask: number): number {
    const prefix = first & mask;
    return prefix < mask ? prefix : this.#longInteger(prefix);
  }

  #longInteger(prefix: number): number {
    let value = prefix;
    let factor = 1;
    for (let octets = 0; octets < MOST_INTEGER_OCTETS; octets++) {
      const octet = this.octet();
      value += (octet & ~CONTINUES) * factor;
      if (octet >= CONTINUES) {
        factor *= CONTINUES;
        continue;
      }
      if (value > MOST_INTEGER) break;
      return value;
    }
    throw new HpackError("an integer is too large");
  }

  /**
   * The next string (section 5.2) as latin1; undefined, and no memory spent on it, where it has more than `mostBytes`.
   * @throws HpackError also for what is no Huffman code, whatever its length
   */
  string(mostBytes: number): string | undefined {
    const first = this.octet();
    const length = this.integer(first, LENGTH_MASK);
    const begin = this.#at;
    if (length > this.#block.length - begin) throw truncated();
    this.#at = begin + length;
    if (first >= IS_HUFFMAN) return this.#huffman(begin, mostBytes);
    return length > mostBytes ? undefined : this.#block.toString("latin1", begin, this.#at);
  }

  /** The string from `begin` up to here. */
  #huffman(begin: number, mostBytes: number): string | undefined {
    const room = Math.min(mostHuffmanBytes(this.#at - begin), Math.max(mostBytes, 0));
    const target = room <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(room);
    const length = decodeHuffman({ bytes: this.#block, begin, end: this.#at }, target);
    return length > mostBytes ? undefined : target.toString("latin1", 0, length);
  }
}

function truncated(): HpackError {
  return new HpackError("the header block ends too early");
}
