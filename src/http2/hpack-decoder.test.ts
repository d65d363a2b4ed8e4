import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Field } from "./field.ts";
import { type FieldLimits, HpackDecoder } from "./hpack-decoder.ts";
import { HpackError } from "./hpack-error.ts";

const TABLE_BYTES = 4_096;
const LIMITS = { maxBytes: 65_536, maxFields: 1_000 };
/** The dynamic table's newest field as an indexed field. */
const NEWEST = 0x80 | 62;
const MOST_PREFIX = 0x7f;

function decoder(tableBytes = TABLE_BYTES): HpackDecoder {
  return new HpackDecoder({ tableBytes });
}

function decode(
  octets: readonly number[],
  by = decoder(),
  limits: FieldLimits = LIMITS,
): readonly string[] | undefined {
  return told(by.decode(Buffer.from(octets), limits));
}

function told(fields: readonly Field[] | undefined): readonly string[] | undefined {
  return fields?.map(({ name, value }) => `${name}: ${value}`);
}

/** An integer of any size behind the bits of a first octet (RFC 7541 section 5.1). */
function integer(first: number, mask: number, value: number): readonly number[] {
  if (value < mask) return [first | value];
  const octets = [first | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) octets.push((rest % 0x80) | 0x80);
  return [...octets, rest];
}

/** A string without Huffman's code. */
function text(value: string): readonly number[] {
  return [...integer(0, MOST_PREFIX, value.length), ...Buffer.from(value, "latin1")];
}

function added(name: string, value: string): readonly number[] {
  return [0x40, ...text(name), ...text(value)];
}

function notAdded(name: string, value: string): readonly number[] {
  return [0, ...text(name), ...text(value)];
}

function sized(tableBytes: number): readonly number[] {
  return integer(0x20, 0x1f, tableBytes);
}

describe("HpackDecoder.decode", () => {
  test("HpackDecoder.decode: a block of nothing has no fields", () => {
    expect(decode([])).toEqual([]);
  });

  test.each([
    ["index 0", [0x80]],
    ["an index beyond the static table while the dynamic one is empty", [NEWEST]],
    ["an index beyond the dynamic table", [...added("a", "b"), NEWEST + 1]],
    ["an index of four gibibytes", [0xff, 0xff, 0xff, 0xff, 0x7f]],
    ["a name's index beyond the tables", [0x40 | 62, ...text("a")]],
    ["an integer of 2^31", integer(0x80, MOST_PREFIX, 2 ** 31)],
    ["an integer that never ends", [0xff, ...new Array<number>(100).fill(0x80), 0]],
    [
      "an integer of more octets than any needs",
      [0, 1, 0x61, 0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0, ...new Array<number>(127).fill(0x61)],
    ],
    ["an integer that overflows", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["an integer that is cut short", [0xff, 0x80]],
    ["a name that is cut short", [0, 5, 0x61, 0x62]],
    ["a name without a value", [0, 1, 0x61]],
    ["a value that is cut short", [0, 1, 0x61, 3, 0x61]],
    ["a value of two gibibytes that does not come", [0, 1, 0x61, ...integer(0, MOST_PREFIX, 2 ** 31 - 1)]],
    ["Huffman padding of zeros", [0, 1, 0x61, 0x81, 0b00000_000]],
    ["Huffman padding that is not all ones", [0, 1, 0x61, 0x81, 0b00000_110]],
    ["Huffman padding of eight bits", [0, 1, 0x61, 0x82, 0b00000_111, 0xff]],
    ["Huffman padding of an octet and nothing else", [0, 1, 0x61, 0x81, 0xff]],
    ["Huffman's end of a string", [0, 1, 0x61, 0x84, 0xff, 0xff, 0xff, 0xff]],
    ["Huffman's end of a string, and more after it", [0, 1, 0x61, 0x85, 0xff, 0xff, 0xff, 0xfc, 0x07]],
    ["a table size beyond what was agreed", sized(TABLE_BYTES + 1)],
    ["a table size after a field", [0x82, ...sized(0)]],
    ["a table size after a literal", [...added("a", "b"), ...sized(100)]],
  ])("HpackDecoder.decode: %s is an error", (_, octets) => {
    expect(() => decode(octets)).toThrow(HpackError);
    // Also where nobody wants the list.
    expect(() => decode(octets, decoder(), { maxBytes: 0, maxFields: 0 })).toThrow(HpackError);
  });

  test("HpackDecoder.decode: no more than the longest Huffman padding, of seven bits, is padding", () => {
    // "0" has five bits, "a" and "3" too and six, "&" has eight.
    expect(decode([0, 1, 0x61, 0x81, 0b00000_111])).toEqual(["a: 0"]);
    expect(decode([0, 1, 0x61, 0x81, 0b011001_11])).toEqual(["a: 3"]);
    expect(decode([0, 1, 0x61, 0x81, 0xf8])).toEqual(["a: &"]);
    // Five codes of five bits leave seven bits of the fourth octet.
    expect(decode([0, 1, 0x61, 0x84, 0, 0, 0, 0x7f])).toEqual(["a: 00000"]);
    expect(decode([0, 1, 0x61, 0x80])).toEqual(["a: "]);
  });

  test("HpackDecoder.decode: fields of the tables are the same ones each time", () => {
    const by = decoder();
    by.decode(Buffer.from(added("a", "b")), LIMITS);
    const block = Buffer.from([0x82, NEWEST]);
    const [first, second] = [by.decode(block, LIMITS), by.decode(block, LIMITS)];
    expect(first?.[0]).toBe(second?.[0]);
    expect(first?.[1]).toBe(second?.[1]);
  });

  test("HpackDecoder.decode: a field that refers to a name which it evicts has the name all the same", () => {
    const by = decoder(64);
    decode(added("a", "b"), by);
    expect(decode([0x40 | 62, ...text("x".repeat(31))], by)).toEqual([`a: ${"x".repeat(31)}`]);
    expect(decode([NEWEST], by)).toEqual([`a: ${"x".repeat(31)}`]);
  });

  test("HpackDecoder.decode: a string does not keep the chunk alive that it came in, nor change with it", () => {
    const by = decoder();
    const block = Buffer.from(added("name", "value"));
    const fields = by.decode(block, LIMITS);
    block.fill(0x2a);
    expect(told(fields)).toEqual(["name: value"]);
    expect(decode([NEWEST], by)).toEqual(["name: value"]);
  });
});

test("HpackDecoder.decode: an integer of 2^31 is too large, whatever it would mean; one less is not", () => {
  for (const prefix of [0x80, 0x40, 0x20, 0x10, 0]) {
    const mask = prefix === 0x80 ? 0x7f : prefix === 0x40 ? 0x3f : prefix === 0x20 ? 0x1f : 0x0f;
    expect(() => decode(integer(prefix, mask, 2 ** 31))).toThrow("an integer is too large");
    expect(() => decode(integer(prefix, mask, 2 ** 31 - 1))).toThrow(/no field has|beyond the limit/);
  }
});

describe("HpackDecoder and table sizes", () => {
  test("HpackDecoder: a table size evicts what is beyond it, and holds for later blocks", () => {
    const by = decoder();
    decode([...added("a", "1"), ...added("b", "2"), ...added("c", "3")], by);
    expect(decode([...sized(2 * 34), NEWEST, NEWEST + 1], by)).toEqual(["c: 3", "b: 2"]);
    expect(decode([...added("d", "4"), NEWEST, NEWEST + 1], by)).toEqual(["d: 4", "d: 4", "c: 3"]);
    expect(() => decode([NEWEST + 2], by)).toThrow(HpackError);
  });

  test("HpackDecoder: of two sizes at a block's beginning the first one evicts, the second one holds", () => {
    const by = decoder();
    decode(added("a", "1"), by);
    expect(
      decode([...sized(0), ...sized(TABLE_BYTES), ...added("b", "2"), ...added("c", "3"), NEWEST + 1], by),
    ).toEqual(["b: 2", "c: 3", "b: 2"]);
    expect(() => decode([NEWEST + 2], by)).toThrow(HpackError);
  });

  test("HpackDecoder: a block of a table size only has no fields", () => {
    expect(decode(sized(TABLE_BYTES))).toEqual([]);
  });

  test("HpackDecoder: a table that may be larger than 4,096 is so only when the peer says it", () => {
    const big = "x".repeat(5_000);
    const by = decoder(10_000);
    decode(added("a", big), by);
    expect(() => decode([NEWEST], by)).toThrow(HpackError);
    const larger = decoder(10_000);
    expect(decode([...sized(10_000), ...added("a", big), NEWEST], larger)).toEqual([`a: ${big}`, `a: ${big}`]);
  });
});

describe("HpackDecoder and limits", () => {
  test("HpackDecoder: a list up to the limits is given, one beyond them is not", () => {
    const block = [...notAdded("a", "b"), ...notAdded("c", "d")];
    expect(decode(block, decoder(), { maxBytes: 68, maxFields: 2 })).toEqual(["a: b", "c: d"]);
    expect(decode(block, decoder(), { maxBytes: 67, maxFields: 2 })).toBeUndefined();
    expect(decode(block, decoder(), { maxBytes: 68, maxFields: 1 })).toBeUndefined();
    expect(decode([], decoder(), { maxBytes: 0, maxFields: 0 })).toEqual([]);
  });

  test("HpackDecoder: a list that is beyond the limits changes the table like every other", () => {
    const by = decoder();
    const block = [...added("a", "1"), ...notAdded("b", "x".repeat(1_000)), ...added("c", "3"), NEWEST];
    expect(decode(block, by, { maxBytes: 10, maxFields: 1 })).toBeUndefined();
    expect(decode([NEWEST, NEWEST + 1], by)).toEqual(["c: 3", "a: 1"]);
  });

  test.each([
    ["name", added("x".repeat(5_000), "1")],
    ["value", added("b", "x".repeat(5_000))],
    ["name and value together", added("x".repeat(2_100), "x".repeat(2_100))],
  ])("HpackDecoder: a %s beyond the limits and the table empties the table", (_, block) => {
    const by = decoder();
    decode(added("a", "1"), by);
    expect(decode(block, by, { maxBytes: 100, maxFields: 10 })).toBeUndefined();
    expect(() => decode([NEWEST], by)).toThrow(HpackError);
  });

  test("HpackDecoder: a field beyond the table empties it, and is told all the same", () => {
    const by = decoder();
    const big = "x".repeat(5_000);
    decode(added("a", "1"), by);
    expect(decode(added("b", big), by)).toEqual([`b: ${big}`]);
    expect(() => decode([NEWEST], by)).toThrow(HpackError);
  });

  test("HpackDecoder: a large field that is named again and again is not gathered beyond the limits", () => {
    const by = decoder();
    decode(added("a", "x".repeat(4_000)), by);
    const bomb = Buffer.alloc(1_000_000, NEWEST);
    const before = process.memoryUsage();
    expect(by.decode(bomb, { maxBytes: 16_384, maxFields: 100 })).toBeUndefined();
    // A list of a million would take eight megabytes.
    expect(process.memoryUsage().heapUsed - before.heapUsed).toBeLessThan(4_000_000);
    expect(decode([NEWEST], by)).toHaveLength(1);
  });
});

describe("HpackDecoder and what is no HPACK", () => {
  const octets = fc.uint8Array({ maxLength: 300 });
  /** Octets that often are a block, or nearly one. */
  const nearly = fc
    .array(
      fc.oneof(
        fc.integer({ min: 0x80, max: 0xc0 }).map((octet): readonly number[] => [octet]),
        fc.tuple(fc.string({ maxLength: 10 }), fc.string({ maxLength: 10 })).map(([name, value]) => added(name, value)),
        fc
          .tuple(fc.string({ maxLength: 10 }), fc.string({ maxLength: 10 }))
          .map(([name, value]) => notAdded(name, value)),
        fc.nat(5_000).map(sized),
        fc.uint8Array({ maxLength: 5 }).map((random): readonly number[] => [...random]),
      ),
      { maxLength: 30 },
    )
    .map((parts) => Uint8Array.from(parts.flat()));

  test("HpackDecoder: random octets are decoded, or are no HPACK, and nothing else happens", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(octets, nearly), { minLength: 1, maxLength: 10 }), (blocks) => {
        const by = decoder();
        try {
          for (const block of blocks) {
            for (const { name, value, bytes } of by.decode(Buffer.from(block), LIMITS) ?? []) {
              expect(bytes).toBe(name.length + value.length + 32);
            }
          }
        } catch (error) {
          expect(error).toBeInstanceOf(HpackError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test("HpackDecoder: whatever the limits, the same is an error, and what is given is the same", () => {
    const limits = fc.record({ maxBytes: fc.nat(2_000), maxFields: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(nearly, { minLength: 1, maxLength: 6 }), limits, (blocks, narrow) => {
        const [wide, by] = [decoder(), decoder()];
        for (const block of blocks) {
          const outcome = outcomeOf(() => wide.decode(Buffer.from(block), LIMITS));
          const bytes = outcome.fields?.reduce((sum, field) => sum + field.bytes, 0) ?? 0;
          const isBeyond = bytes > narrow.maxBytes || (outcome.fields?.length ?? 0) > narrow.maxFields;
          const expected = isBeyond ? { ...outcome, fields: undefined } : outcome;
          expect(outcomeOf(() => by.decode(Buffer.from(block), narrow))).toEqual(expected);
          if (outcome.error !== undefined) return;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  function outcomeOf(act: () => readonly Field[] | undefined) {
    try {
      return { fields: act(), error: undefined };
    } catch (error) {
      if (!(error instanceof HpackError)) throw error;
      return { fields: undefined, error: error.message };
    }
  }

  const SMALL = 20_000;
  const FACTOR = 16;

  test.each([
    ["indexed fields", [0x82]],
    ["fields that evict others", [0x40, 0, 0]],
    ["fields that empty the table", [...added("a", "x".repeat(4_100)), ...added("b", "")]],
    ["fields with long values", notAdded("a", "x".repeat(10_000))],
    [
      "fields with a value of Huffman's code",
      [0, 1, 0x61, ...integer(0x80, MOST_PREFIX, 10_000), ...new Array<number>(10_000).fill(0)],
    ],
    ["table sizes", [...sized(0), ...sized(TABLE_BYTES)]],
    ["names by index", [0x40 | 1, 1, 0x61]],
  ])("HpackDecoder: %s take time by their number, not by its square", (_, part) => {
    const small = Buffer.from(Array.from({ length: Math.ceil(SMALL / part.length) }, () => part).flat());
    const large = Buffer.concat(Array.from({ length: FACTOR }, () => small));
    for (const limits of [LIMITS, { maxBytes: Number.MAX_SAFE_INTEGER, maxFields: Number.MAX_SAFE_INTEGER }]) {
      fastest(small, limits);
      // Were it the square, it would be 256.
      expect(fastest(large, limits) / fastest(small, limits)).toBeLessThan(FACTOR * 8);
    }
  });

  function fastest(block: Buffer, limits: FieldLimits): number {
    let least = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < 10; turn++) {
      const by = decoder();
      const begin = performance.now();
      by.decode(block, limits);
      least = Math.min(least, performance.now() - begin);
    }
    return least;
  }
});
