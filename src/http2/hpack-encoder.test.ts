import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeFields } from "./hpack-encoder.ts";
import { STATIC_FIELDS } from "./hpack-static-table.ts";

type Pair = readonly [name: string, value: string];

const LIMITS = { maxBytes: 10_000_000, maxFields: 1_000 };

function decoded(block: Uint8Array): readonly Pair[] | undefined {
  const decoder = new HpackDecoder({ tableBytes: 0 });
  return decoder.decode(Buffer.from(block), LIMITS)?.map(({ name, value }): Pair => [name, value]);
}

const soundName = fc.oneof(
  fc.constantFrom(...STATIC_FIELDS.filter(({ isSound }) => isSound).map(({ name }) => name)),
  fc.stringMatching(/^x[a-z0-9-]{0,40}$/),
);
const visible = fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code));
const soundValue = fc.oneof(
  fc.constantFrom(...STATIC_FIELDS.map(({ value }) => value)),
  fc.string({ unit: visible, maxLength: 300 }),
);

describe("encodeFields", () => {
  test("encodeFields: what it encodes is decoded as it was, without a table", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(soundName, soundValue), { maxLength: 20 }), (fields) => {
        expect(decoded(encodeFields(fields))).toEqual(fields);
      }),
    );
  });

  test.each([125, 126, 127, 128, 254, 255, 256, 16_509, 16_510, 16_511, 70_000, 2_200_000])(
    "encodeFields: a value of %d octets is decoded as it was",
    (length) => {
      const fields: readonly Pair[] = [
        ["grpc-status", "2"],
        ["grpc-message", "x".repeat(length)],
        ["last", "value"],
      ];
      expect(decoded(encodeFields(fields))).toEqual(fields);
    },
  );

  test("encodeFields: a whole field of the static table is one octet, a name of it one or two", () => {
    expect([...encodeFields([[":status", "200"]])]).toEqual([0x88]);
    expect([...encodeFields([["content-type", "a"]])]).toEqual([0x0f, 31 - 15, 1, 0x61]);
    expect([...encodeFields([[":status", "1"]])]).toEqual([8, 1, 0x31]);
  });

  test.each<Pair>([
    ["Name", "a capital"],
    ["name", "two\nlines"],
    ["name", "\u{10a}: its low octet ends a line"],
    ["name", "пример"],
    ["name", " leading"],
    ["connection", "close"],
    ["", "no name"],
  ])("encodeFields: %j with %j is refused", (name, value) => {
    expect(() =>
      encodeFields([
        [":status", "200"],
        [name, value],
      ]),
    ).toThrow(RangeError);
    // And leaves nothing behind.
    expect([...encodeFields([[":status", "200"]])]).toEqual([0x88]);
  });
});
