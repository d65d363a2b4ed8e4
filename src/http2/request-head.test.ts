import { expect, test } from "vitest";
import { Field } from "./field.ts";
import { areTrailers, RequestHeads } from "./request-head.ts";

const POST: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/x"],
];

function read(...fields: readonly (readonly [string, string])[]) {
  return new RequestHeads().read(fields.map(([name, value]) => new Field(name, value)));
}

test("joins the values of fields that come more than once", () => {
  const head = read(...POST, ["accept", "a"], ["accept", "b"], ["cookie", "c=1"], ["cookie", "d=2"]);
  expect(head?.fields).toEqual({
    ":method": "POST",
    ":scheme": "http",
    ":path": "/x",
    accept: "a, b",
    cookie: "c=1; d=2",
  });
});

test("takes names for nothing but names", () => {
  const head = read(...POST, ["constructor", "a"], ["constructor", "b"], ["__proto__", "c"]);
  expect(Object.entries(head?.fields ?? {}).at(-1)).toEqual(["constructor", "a, b"]);
});

test("reads the length of a body", () => {
  expect(read(...POST)?.contentLength).toBeUndefined();
  expect(read(...POST, ["content-length", "17"])?.contentLength).toBe(17);
  for (const text of ["", "-1", "1x", "1, 1", "9".repeat(16)]) {
    expect(read(...POST, ["content-length", text])).toBeUndefined();
  }
});

test.each([
  ["no method", POST.slice(1)],
  ["no scheme", [POST[0], POST[2]]],
  ["no path", POST.slice(0, 2)],
  ["an empty path", [...POST.slice(0, 2), [":path", ""]]],
  ["a pseudo-field twice", [...POST, [":path", "/y"]]],
  ["a pseudo-field behind others", [["a", "b"], ...POST]],
  ["a pseudo-field of answers", [...POST, [":status", "200"]]],
  ["one that nobody knows", [...POST, [":other", "1"]]],
  ["a capital in a name", [...POST, ["Name", "1"]]],
  ["a field of connections", [...POST, ["connection", "close"]]],
  ["te that is not trailers", [...POST, ["te", "gzip"]]],
  ["a line break", [...POST, ["a", "b\r\nc: d"]]],
  ["CONNECT with a path", [[":method", "CONNECT"], ...POST.slice(1)]],
] as [string, [string, string][]][])("refuses %s", (_, fields) => {
  expect(read(...fields)).toBeUndefined();
});

test("reads the same fields once, and others anew", () => {
  const heads = new RequestHeads();
  const [method, scheme, path] = POST.map(([name, value]) => new Field(name, value));
  if (method === undefined || scheme === undefined || path === undefined) throw new Error("there are three");
  const first = heads.read([method, scheme, path]);
  expect(heads.read([method, scheme, path])).toBe(first);
  expect(heads.read([method, scheme, new Field(":path", "/y")])?.fields[":path"]).toBe("/y");
  expect(heads.read([method, scheme])).toBeUndefined();
});

test("trailers have no pseudo-fields", () => {
  expect(areTrailers([new Field("grpc-status", "0")])).toBe(true);
  expect(areTrailers([new Field(":path", "/")])).toBe(false);
  expect(areTrailers([new Field("A", "")])).toBe(false);
});
