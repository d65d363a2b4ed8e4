import { expect, test } from "vitest";
import { parseJson, parseJsonStream } from "./json.ts";

test("parseJson: objects and lists are JSON, everything else is text", () => {
  expect(parseJson(' {"a":1}\n')).toEqual({ a: 1 });
  expect(parseJson("[1]")).toEqual([1]);
  expect(parseJson("3")).toBeUndefined();
  expect(parseJson("{broken")).toBeUndefined();
  expect(parseJson("")).toBeUndefined();
});

test("parseJsonStream: objects are told apart whatever stands between, braces in strings do not count", () => {
  const stream = '{"a":{"b":"}{"}}\n{"c":"\\"}"} {"unfinished":';
  expect(parseJsonStream(stream)).toEqual([{ a: { b: "}{" } }, { c: '"}' }]);
  expect(parseJsonStream("")).toEqual([]);
});
