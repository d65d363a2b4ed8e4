import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackError } from "./hpack-error.ts";
import { decodeHuffman, mostHuffmanBytes } from "./hpack-huffman.ts";

/** Bits as octets, filled up with ones. */
function octetsOf(bits: string): Uint8Array {
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Uint8Array.from({ length: padded.length / 8 }, (_, at) =>
    Number.parseInt(padded.slice(at * 8, at * 8 + 8), 2),
  );
}

function decode(bytes: Uint8Array, room = mostHuffmanBytes(bytes.length)): readonly number[] {
  const target = new Uint8Array(room);
  return [...target.subarray(0, decodeHuffman({ bytes, begin: 0, end: bytes.length }, target))];
}

describe("decodeHuffman", () => {
  // From appendix B: the first and last code of several lengths, above all those that no client sends in a header.
  test.each([
    [0x00, "1111111111000"],
    [0x01, "11111111111111111011000"],
    [0x02, "1111111111111111111111100010"],
    [0x09, "111111111111111111101010"],
    [0x0a, "111111111111111111111111111100"],
    [0x0d, "111111111111111111111111111101"],
    [0x16, "111111111111111111111111111110"],
    [0x1f, "1111111111111111111111111011"],
    [0x20, "010100"],
    [0x30, "00000"],
    [0x74, "01001"],
    [0x26, "11111000"],
    [0x58, "11111100"],
    [0x5a, "11111101"],
    [0x7f, "1111111111111111111111111100"],
    [0x80, "11111111111111100110"],
    [0xf9, "1111111111111111111111111110"],
    [0xff, "11111111111111111111101110"],
  ])("decodeHuffman: octet %d is %s", (octet, code) => {
    expect(decode(octetsOf(code))).toEqual([octet]);
    expect(decode(octetsOf(`${code}00000${code}`))).toEqual([octet, 0x30, octet]);
  });

  test("decodeHuffman: no two strings of octets mean the same", () => {
    const seen = new Map<string, string>();
    const random = fc.uint8Array({ minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(random, (bytes) => {
        const encoded = bytes.join();
        let decoded: string;
        try {
          decoded = decode(bytes).join();
        } catch (error) {
          expect(error).toBeInstanceOf(HpackError);
          return;
        }
        expect(seen.get(decoded) ?? encoded).toBe(encoded);
        seen.set(decoded, encoded);
      }),
      { numRuns: 3_000 },
    );
  });

  test("decodeHuffman: what the target has no room for is counted and checked", () => {
    const bytes = octetsOf("00000".repeat(8));
    expect(decodeHuffman({ bytes, begin: 0, end: bytes.length }, new Uint8Array(3))).toBe(8);
    expect(decodeHuffman({ bytes, begin: 0, end: bytes.length }, new Uint8Array(0))).toBe(8);
    const wrong = octetsOf(`${"00000".repeat(8)}${"1".repeat(30)}00`);
    expect(() => decodeHuffman({ bytes: wrong, begin: 0, end: wrong.length }, new Uint8Array(3))).toThrow(HpackError);
  });

  test("decodeHuffman: only what lies between begin and end is looked at", () => {
    const bytes = Uint8Array.from([0xff, ...octetsOf("0000000001"), 0x00]);
    const target = new Uint8Array(4);
    expect(decodeHuffman({ bytes, begin: 1, end: 3 }, target)).toBe(2);
    expect([...target]).toEqual([0x30, 0x31, 0, 0]);
  });

  test("mostHuffmanBytes: no string has more octets", () => {
    for (let octets = 0; octets < 20; octets++) {
      const all = octetsOf("00000".repeat(Math.floor((octets * 8) / 5)));
      expect(decode(all.subarray(0, octets), 100).length).toBeLessThanOrEqual(mostHuffmanBytes(octets));
    }
  });
});
