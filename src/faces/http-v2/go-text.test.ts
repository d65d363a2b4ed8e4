import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fastest, walkMs } from "../../../test/support/walk-time.ts";
import { V2_BODY_BYTES } from "../../base/limits.ts";
import { goQuoted } from "./go-text.ts";

/** Many times what a plain walk over the same bytes takes, far below what it took when each character was a call. */
const SOON_WALKS = 20;

describe("goQuoted", () => {
  it("is what JSON says, with Go's escapes", () => {
    expect(goQuoted('<&>"\\\u2028\u2029\u2027\n\0é')).toBe(
      '"\\u003c\\u0026\\u003e\\"\\\\\\u2028\\u2029\u2027\\n\\u0000é"',
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (plain) => {
        expect(JSON.parse(goQuoted(`<${plain}`))).toBe(`<${plain}`);
      }),
    );
  });

  it("has no short escapes but those that Go had, and takes none for what follows an escaped backslash", () => {
    expect(goQuoted("\b\f\n\r\t\x7f")).toBe('"\\u0008\\u000c\\n\\r\\t\x7f"');
    expect(goQuoted("\\b\\\\f\\\f<")).toBe('"\\\\b\\\\\\\\f\\\\\\u000c\\u003c"');
  });

  it("is soon done with the largest value, whatever it is made of", () => {
    expect(fastest(() => goQuoted("<".repeat(V2_BODY_BYTES)))).toBeLessThan(SOON_WALKS * walkMs());
  });
});
