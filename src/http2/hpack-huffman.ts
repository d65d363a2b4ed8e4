/** HPACK's Huffman code (RFC 7541 section 5.2 and appendix B), read four bits at a time. */
import { HpackError } from "./hpack-error.ts";

/**
 * How many bits the code of each octet has, and at last that of the end of a string. This is all of appendix B: codes
 * of one length follow each other in the order of their octets, and longer ones continue after shorter ones.
 */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];

/** The shortest code has so many bits: four cannot hold the ends of two. */
const SHORTEST_CODE_BITS = 5;

/** What fills the last octet up are the first bits of the end's code, all ones, and fewer than an octet. */
const MOST_PADDING_BITS = 7;

/** Steps are numbers: the state that follows, an octet that was ended by these bits, and whether one was. */
const STATE_MASK = 0xff;
const OCTET_SHIFT = 8;
const HAS_OCTET = 1 << 16;
/** The end of a string within it, which is an error (RFC 7541 section 5.2). */
const IS_ERROR = 1 << 17;

/** For each state, which is the beginning of a code, the step for each four bits. */
const STEPS = new Uint32Array(256 << 4);

/** The states in which a string may end. */
const MAY_END = new Uint8Array(256);

let isBuilt = false;

/** Takes a millisecond or two, so it waits for the first string that needs it: not all processes speak HTTP/2. */
function build(): void {
  const children = codeTree();
  for (let state = 0; state < children.length >> 1; state++) {
    for (let bits = 0; bits < 16; bits++) STEPS[(state << 4) | bits] = stepFrom(children, state, bits);
  }
  let padding = 0;
  for (let bits = 0; bits <= MOST_PADDING_BITS; bits++) {
    MAY_END[padding] = 1;
    padding = children[(padding << 1) | 1] ?? 0;
  }
  isBuilt = true;
}

/**
 * The code as a binary tree: at twice a node's number what follows on 0, behind it what follows on 1. That is another
 * node, or below 0 an octet's complement.
 */
function codeTree(): readonly number[] {
  const children = [0, 0];
  const symbols = CODE_BITS.map((bits, symbol) => ({ bits, symbol })).sort((a, b) => a.bits - b.bits);
  let code = 0;
  let codeBits = 0;
  for (const { bits, symbol } of symbols) {
    code <<= bits - codeBits;
    codeBits = bits;
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const at = (node << 1) | ((code >>> bit) & 1);
      node = children[at] || children.push(0, 0) / 2 - 1;
      children[at] = node;
    }
    children[(node << 1) | (code & 1)] = ~symbol;
    code++;
  }
  return children;
}

/** The step from a state on four bits. */
function stepFrom(children: readonly number[], from: number, bits: number): number {
  let state = from;
  let ended = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[(state << 1) | ((bits >>> bit) & 1)] ?? 0;
    if (next >= 0) {
      state = next;
    } else {
      if (~next > 0xff) return IS_ERROR;
      ended = HAS_OCTET | (~next << OCTET_SHIFT);
      state = 0;
    }
  }
  return ended | state;
}

/** More octets than these never come out of so many. */
export function mostHuffmanBytes(encodedBytes: number): number {
  return Math.floor((encodedBytes * 8) / SHORTEST_CODE_BITS);
}

/** Where an encoded string is: from `begin` up to, and not including, `end`. */
export interface HuffmanSpan {
  readonly bytes: Uint8Array;
  readonly begin: number;
  readonly end: number;
}

/**
 * Decodes a string into `target`, and tells how many octets it has. What `target` has no room for is checked and counted
 * too, and left out.
 * @throws HpackError for the code of the end within it, and for what is no padding at its end
 */
export function decodeHuffman(span: HuffmanSpan, target: Uint8Array): number {
  if (!isBuilt) build();
  const { bytes, begin, end } = span;
  let state = 0;
  let octets = 0;
  for (let at = begin; at < end; at++) {
    const octet = bytes[at] ?? 0;
    for (let shift = 4; shift >= 0; shift -= 4) {
      const step = STEPS[(state << 4) | ((octet >>> shift) & 0xf)] ?? IS_ERROR;
      if (step >= HAS_OCTET) {
        if (step >= IS_ERROR) throw new HpackError("a string contains Huffman's code of its end");
        if (octets < target.length) target[octets] = (step >>> OCTET_SHIFT) & 0xff;
        octets++;
      }
      state = step & STATE_MASK;
    }
  }
  if (MAY_END[state] !== 1) throw new HpackError("a Huffman-coded string is padded wrongly");
  return octets;
}
