import { expect, test } from "vitest";
import { differences } from "./compare.ts";

test("differences: none between equals, whatever the order of fields", () => {
  expect(differences({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toEqual([]);
});

test("differences: says where, what was expected and what came", () => {
  expect(differences({ node: { value: "a" } }, { node: { value: "b" } })).toEqual([
    'node.value: expected "a", got "b"',
  ]);
  expect(differences({ status: 200 }, { status: 200, extra: true })).toEqual(["extra: expected nothing, got true"]);
  expect(differences({ status: 200 }, undefined)).toEqual([': expected {"status":200}, got nothing']);
  expect(differences({ nodes: [1, 2] }, { nodes: [1] })).toEqual(["nodes: expected 2 entries, got 1"]);
  expect(differences("1", 1)).toEqual([': expected "1", got 1']);
});

test("differences: a ttl may have lost one second, no more, and nothing else may", () => {
  expect(differences({ ttl: 10 }, { ttl: 9 })).toEqual([]);
  expect(differences({ ttl: 10 }, { ttl: 8 })).toHaveLength(1);
  expect(differences({ ttl: 10 }, { ttl: 11 })).toHaveLength(1);
  expect(differences({ value: 10 }, { value: 9 })).toHaveLength(1);
});
