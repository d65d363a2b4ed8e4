import { describe, expect, it } from "vitest";
import { mediaTypeOf } from "./media-type.ts";

const FORM = "application/x-www-form-urlencoded";

describe("mediaTypeOf", () => {
  it.each([
    [undefined, ""],
    ["", ""],
    ["text", "text"],
    [`${FORM}; charset=utf-8`, FORM],
    [" Text/Plain ;", "text/plain"],
    ['a/b; x="1;\\"2" ; y=3 ; x="1;\\"2"', "a/b"],
  ])("reads %j", (header, type) => {
    expect(mediaTypeOf(header)).toBe(type);
  });

  it.each([
    [" ", "no media type"],
    [";x=1", "no media type"],
    ["a b", "expected slash after first token"],
    ["a/", "expected token after slash"],
    [`${FORM}, text/plain`, "unexpected content after media subtype"],
    ["a/b; x", "invalid media parameter"],
    ["a/b; x=", "invalid media parameter"],
    ['a/b; x="1', "invalid media parameter"],
    ['a/b; x="1\\"', "invalid media parameter"],
    ["a/b;; x=1", "invalid media parameter"],
    ["a/b; x=1; X=2", "duplicate parameter name"],
  ])("refuses %j in Go's words: %s", (header, words) => {
    expect(() => mediaTypeOf(header)).toThrow(`mime: ${words}`);
  });
});
