import { expect, test } from "vitest";
import { Status } from "./status.ts";
import { percentEncode, trailersOf } from "./trailers.ts";

test("percentEncode: what is printable ASCII stays, all else and the percent sign stand as %XX", () => {
  expect(percentEncode("etcdserver: mvcc: required revision has been compacted")).toBe(
    "etcdserver: mvcc: required revision has been compacted",
  );
  expect(percentEncode("100 %\n\tä€")).toBe("100 %25%0A%09%C3%A4%E2%82%AC");
  expect(percentEncode("~}\x7f")).toBe("~}%7F");
  expect(percentEncode("  a b ")).toBe("%20 a b%20");
  expect(percentEncode(" ")).toBe("%20");
});

test("trailersOf: an error's message goes along, a success has none", () => {
  expect(trailersOf(Status.OK, "")).toEqual([["grpc-status", "0"]]);
  expect(trailersOf(Status.NOT_FOUND, "no\nsuch")).toEqual([
    ["grpc-status", "5"],
    ["grpc-message", "no%0Asuch"],
  ]);
});
