import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import { unescapeBytes } from "./form.ts";

describe("unescapeBytes", () => {
  it("undoes what encodeURIComponent does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (plain) => {
        expect(text(unescapeBytes(utf8(encodeURIComponent(plain))))).toBe(plain);
      }),
    );
  });

  it("takes + for a space, where it means one", () => {
    expect(text(unescapeBytes(utf8("a+b%2B")))).toBe("a b+");
    expect(text(unescapeBytes(utf8("a+b"), { plusIsSpace: false }))).toBe("a+b");
  });

  it("keeps bytes that are no UTF-8", () => {
    expect([...unescapeBytes(utf8("%ff%fE"))]).toEqual([0xff, 0xfe]);
  });

  it.each(["%", "%4", "%zz", "a%4g"])("refuses %j", (encoded) => {
    expect(() => unescapeBytes(utf8(encoded))).toThrow(/invalid URL escape/);
  });
});
