import { describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { Permission, PermissionType } from "./auth-model.ts";
import { isSoundRange, withoutPermission, withPermission } from "./permissions.ts";

const permission = (key: string, end = "", type: PermissionType = "read"): Permission => ({
  type,
  key: utf8(key),
  end: utf8(end),
});
const shown = (permissions: readonly Permission[]) =>
  permissions.map(({ type, key, end }) => `${type} ${text(key)} ${text(end)}`.trim());
const granted = (...permissions: readonly Permission[]) =>
  permissions.reduce(withPermission, [] as readonly Permission[]);

describe("withPermission", () => {
  it("keeps them in order of their keys, those of one key in the order in which they came", () => {
    expect(shown(granted(permission("b"), permission("a", "z"), permission("c"), permission("a", "b")))).toEqual([
      "read a z",
      "read a b",
      "read b",
      "read c",
    ]);
  });

  it("changes the type where there is one for the same keys", () => {
    expect(shown(granted(permission("a"), permission("b"), permission("a", "", "write")))).toEqual([
      "write a",
      "read b",
    ]);
  });

  it("adds a second one for the same keys where that is not the first of its key, as etcd", () => {
    expect(shown(granted(permission("a"), permission("a", "b"), permission("a", "b", "write")))).toEqual([
      "read a",
      "read a b",
      "write a b",
    ]);
  });
});

it("withoutPermission: takes every one for exactly these keys", () => {
  const all = granted(permission("a"), permission("a", "b"), permission("a", "b", "write"), permission("b"));
  expect(shown(withoutPermission(all, permission("a", "b")))).toEqual(["read a", "read b"]);
});

it.each([
  ["a", "", true],
  ["a", "b", true],
  ["a", "a\0", true],
  ["a", "\0", true],
  ["\0", "\0", true],
  ["", "", false],
  ["", "b", false],
  ["b", "a", false],
  ["a", "a", false],
  ["b", "\0\0", false],
])("isSoundRange: %j up to %j: %s", (key, end, sound) => {
  expect(isSoundRange({ key: utf8(key), end: utf8(end) })).toBe(sound);
});
