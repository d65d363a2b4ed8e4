import { describe, expect, test } from "vitest";
import { Field } from "./field.ts";

describe("Field", () => {
  test("Field.bytes: name, value and 32", () => {
    expect(new Field("custom-key", "custom-header").bytes).toBe(55);
    expect(new Field("a", "").bytes).toBe(33);
  });

  test.each([
    [":path", "/"],
    [":anything", "a pseudo-header field that does not exist is somebody else's concern"],
    ["grpc-timeout", "4999873u"],
    ["x_!#$%&'*+-.^`|~09", ""],
    ["a", "\xe9t\xe9"],
    ["a", "two words,\tand a tab"],
    ["a", "\x01\x7f\xff"],
    ["te", "trailers"],
    ["te", "Trailers"],
    ["upgrade-insecure-requests", "1"],
    ["keep", "alive"],
  ])("Field.isSound: %j with %j is", (name, value) => {
    expect(new Field(name, value).isSound).toBe(true);
  });

  test.each([
    ["", "a"],
    [":", "a"],
    ["::path", "a"],
    ["pa:th", "a"],
    ["path:", "a"],
    ["Path", "a"],
    ["pathZ", "a"],
    ["a b", "a"],
    [" a", "a"],
    ["a\0", "a"],
    ["a\x7f", "a"],
    ["\xe9", "a"],
    ["a(", "a"],
    ["a", " "],
    ["a", " b"],
    ["a", "b "],
    ["a", "\tb"],
    ["a", "b\t"],
    ["a", "b\nc"],
    ["a", "b\rc"],
    ["a", "b\0c"],
    ["a", "\n"],
    ["a", "\u0100"],
    ["connection", "close"],
    ["keep-alive", "timeout=5"],
    ["proxy-connection", "close"],
    ["transfer-encoding", "chunked"],
    ["upgrade", "h2c"],
    ["te", "gzip"],
    ["te", ""],
    ["te", "trailers, gzip"],
  ])("Field.isSound: %j with %j is not", (name, value) => {
    expect(new Field(name, value).isSound).toBe(false);
  });
});
