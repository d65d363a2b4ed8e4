import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { goQuote } from "./go-quote.ts";

describe("goQuote", () => {
  it.each([
    ["plain \u00e9\u20ac\u{1f600}", '"plain \u00e9\u20ac\u{1f600}"'],
    ['"\\', '"\\"\\\\"'],
    ["\u0007\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'],
    ["\u0000\u001b\u007f", '"\\x00\\x1b\\x7f"'],
    ["\u0080\u2028\ufeff\u{e0001}\ufffd", '"\\u0080\\u2028\\ufeff\\U000e0001\ufffd"'],
  ])("writes %j as Go does", (plain, quoted) => {
    expect(goQuote(utf8(plain))).toBe(quoted);
  });

  it("writes bytes that are no UTF-8 in hex, one by one", () => {
    expect(goQuote(Uint8Array.of(0x25, 0xe2, 0x82))).toBe('"%\\xe2\\x82"');
    expect(goQuote(Uint8Array.of(0xff, 0xc3, 0xa9))).toBe('"\\xff\u00e9"');
  });
});
