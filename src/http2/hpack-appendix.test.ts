import { describe, expect, test } from "vitest";
import type { Field } from "./field.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackError } from "./hpack-error.ts";

const LIMITS = { maxBytes: 100_000, maxFields: 1_000 };
const FIRST_DYNAMIC = 62;

interface Example {
  readonly name: string;
  readonly block: string;
  readonly fields: readonly string[];
  /** What the dynamic table holds thereafter, newest first; and its size as the RFC gives it. */
  readonly table: readonly string[];
  readonly tableBytes: number;
}

const CUSTOM = "custom-key: custom-value";
const AUTHORITY = ":authority: www.example.com";
const NO_CACHE = "cache-control: no-cache";
const GET = [":method: GET", ":scheme: http", ":path: /"];
const REQUESTS = [
  { fields: [...GET, AUTHORITY], table: [AUTHORITY], tableBytes: 57 },
  { fields: [...GET, AUTHORITY, NO_CACHE], table: [NO_CACHE, AUTHORITY], tableBytes: 110 },
  {
    fields: [":method: GET", ":scheme: https", ":path: /index.html", AUTHORITY, CUSTOM],
    table: [CUSTOM, NO_CACHE, AUTHORITY],
    tableBytes: 164,
  },
];

const LOCATION = "location: https://www.example.com";
const DATE = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const LATER = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const PRIVATE = "cache-control: private";
const GZIP = "content-encoding: gzip";
const COOKIE = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const RESPONSES = [
  {
    fields: [":status: 302", PRIVATE, DATE, LOCATION],
    table: [LOCATION, DATE, PRIVATE, ":status: 302"],
    tableBytes: 222,
  },
  {
    fields: [":status: 307", PRIVATE, DATE, LOCATION],
    table: [":status: 307", LOCATION, DATE, PRIVATE],
    tableBytes: 222,
  },
  {
    fields: [":status: 200", PRIVATE, LATER, LOCATION, GZIP, COOKIE],
    table: [COOKIE, GZIP, LATER],
    tableBytes: 215,
  },
];

function withBlocks(name: string, results: readonly Omit<Example, "name" | "block">[], blocks: readonly string[]) {
  return results.map((result, at) => ({ ...result, name: `${name}.${at + 1}`, block: blocks[at] ?? "" }));
}

const C3 = withBlocks("C.3", REQUESTS, [
  "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
  "8286 84be 5808 6e6f 2d63 6163 6865",
  "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
]);
const C4 = withBlocks("C.4", REQUESTS, [
  "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
  "8286 84be 5886 a8eb 1064 9cbf",
  "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
]);
const C5 = withBlocks("C.5", RESPONSES, [
  `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e
   1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
  "4803 3330 37c1 c0bf",
  `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
   4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572
   7369 6f6e 3d31`,
]);
const C6 = withBlocks("C.6", RESPONSES, [
  `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b
   97c8 e9ae 82ae 43d3`,
  "4883 640e ffc1 c0bf",
  `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf
   cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
]);

const HEADER = "custom-key: custom-header";
/** Each by a decoder of its own. */
const C2: readonly Example[] = [
  {
    name: "C.2.1",
    block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
    fields: [HEADER],
    table: [HEADER],
    tableBytes: 55,
  },
  {
    name: "C.2.2",
    block: "040c 2f73 616d 706c 652f 7061 7468",
    fields: [":path: /sample/path"],
    table: [],
    tableBytes: 0,
  },
  {
    name: "C.2.3",
    block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
    fields: ["password: secret"],
    table: [],
    tableBytes: 0,
  },
  { name: "C.2.4", block: "82", fields: [":method: GET"], table: [], tableBytes: 0 },
];

function octets(hex: string): Buffer {
  return Buffer.from(hex.replace(/\s/g, ""), "hex");
}

function told(fields: readonly Field[] | undefined): readonly string[] | undefined {
  return fields?.map(({ name, value }) => `${name}: ${value}`);
}

/** What the decoder's dynamic table holds: fields are asked for by index until there is none. */
function tableOf(decoder: HpackDecoder): readonly Field[] {
  const fields: Field[] = [];
  for (;;) {
    try {
      fields.push(...(decoder.decode(Buffer.from([0x80 | (FIRST_DYNAMIC + fields.length)]), LIMITS) ?? []));
    } catch (error) {
      if (error instanceof HpackError) return fields;
      throw error;
    }
  }
}

function check(decoder: HpackDecoder, example: Example): void {
  expect(told(decoder.decode(octets(example.block), LIMITS)), example.name).toEqual(example.fields);
  const table = tableOf(decoder);
  expect(told(table), example.name).toEqual(example.table);
  expect(
    table.reduce((sum, { bytes }) => sum + bytes, 0),
    example.name,
  ).toBe(example.tableBytes);
}

describe("the examples of RFC 7541, appendix C", () => {
  test.each(C2)("$name", (example) => {
    check(new HpackDecoder({ tableBytes: 4_096 }), example);
  });

  test.each([
    { examples: C3, tableBytes: 4_096 },
    { examples: C4, tableBytes: 4_096 },
    { examples: C5, tableBytes: 256 },
    { examples: C6, tableBytes: 256 },
  ])("$examples.0.name and those after it, which rely on each other", ({ examples, tableBytes }) => {
    const decoder = new HpackDecoder({ tableBytes });
    for (const example of examples) check(decoder, example);
  });
});
