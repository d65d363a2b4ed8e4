import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fastest, walkMs } from "../../test/support/walk-time.ts";
import { utf8 } from "./bytes.ts";
import { goText } from "./go-text.ts";
import { V2_BODY_BYTES } from "./limits.ts";

/** Many times what a plain walk over the same bytes takes, far below what it took when each character was a call. */
const SOON_WALKS = 20;

describe("goText", () => {
  it.each([
    [[0x41, 0xe9, 0x98], "A\ufffd\ufffd"],
    [[0xe9, 0x98, 0xdf, 0x41], "\ufffd\ufffd\ufffdA"],
    [[0xed, 0xa0, 0x80], "\ufffd\ufffd\ufffd"],
    [[0xef, 0xbf, 0xbd, 0xff], "\ufffd\ufffd"],
    [[0xf0, 0x9f, 0x98, 0x80, 0x80], "\u{1f600}\ufffd"],
    [[0xc0, 0xaf, 0xc1, 0xbf], "\ufffd\ufffd\ufffd\ufffd"],
    [[0xe0, 0x9f, 0xbf], "\ufffd\ufffd\ufffd"],
    [[0xf0, 0x8f, 0xbf, 0xbf], "\ufffd\ufffd\ufffd\ufffd"],
    [[0xf4, 0x8f, 0xbf, 0xbf, 0xff], "\u{10ffff}\ufffd"],
    [[0xf4, 0x90, 0x80, 0x80], "\ufffd\ufffd\ufffd\ufffd"],
    [[0xf8, 0x88, 0x80, 0x80, 0x80], "\ufffd\ufffd\ufffd\ufffd\ufffd"],
    [[0xef, 0xbb, 0xbf, 0x41], "\ufeffA"],
  ])("replaces each byte of %j that is no UTF-8", (bytes, plain) => {
    expect(goText(Uint8Array.from(bytes))).toBe(plain);
  });

  it("leaves alone what is UTF-8, wherever other bytes stand around it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (before, after) => {
        expect(goText(Buffer.concat([utf8(before), Buffer.of(0xff), utf8(after)]))).toBe(`${before}\ufffd${after}`);
      }),
    );
  });

  it.each([
    ["no UTF-8 at all", Buffer.alloc(V2_BODY_BYTES, 0xff)],
    ["text between bytes that are none", Buffer.alloc(V2_BODY_BYTES, Buffer.of(0x61, 0xff))],
  ])("is soon done with the largest value: %s", (_what, bytes) => {
    expect(fastest(() => goText(bytes))).toBeLessThan(SOON_WALKS * walkMs());
  });
});
