import { describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { KeyRange } from "../../engine/model.ts";
import { meetsRegistry, memberParts, readV3Members } from "./v3-keys.ts";

const T = "/_etcd/registry/TOKEN";

function range(key: string, end?: string | null): KeyRange {
  if (end === undefined) return { key: utf8(key) };
  return { key: utf8(key), end: end === null ? null : utf8(end) };
}

function told({ key, end }: KeyRange): string {
  if (end === undefined) return text(key);
  return `${text(key)} … ${end === null ? "" : text(end)}`;
}

function stored(key: string, end?: string | null): string | undefined {
  const members = readV3Members(range(key, end));
  return members === undefined ? undefined : told(members.stored);
}

describe("readV3Members", () => {
  it.each([
    ["the prefix that etcd asks for", [`${T}/members`, `${T}/membert`], `${T}/ … ${T}0`],
    ["the prefix with its slash", [`${T}/members/`, `${T}/members0`], `${T}/ … ${T}0`],
    ["ids in a range", [`${T}/members/3`, `${T}/members/a`], `${T}/3 … ${T}/a`],
    ["ids from one on", [`${T}/members/3`, `${T}/members0`], `${T}/3 … ${T}0`],
    ["ids before one", [`${T}/members`, `${T}/members/a`], `${T}/ … ${T}/a`],
    ["one member", [`${T}/members/9e7d`], `${T}/9e7d`],
  ] as const)("reads %s", (_what, [key, end], expected) => {
    expect(stored(key, end)).toBe(expected);
  });

  it.each([
    ["all keys", ["\x01", null]],
    ["the registry", ["/_etcd/registry/", "/_etcd/registry0"]],
    ["a token", [`${T}/`, `${T}0`]],
    ["from the members on", [`${T}/members/`, null]],
    ["more than the members", [`${T}/members`, `${T}/z`]],
    ["less than the members' first", [`${T}/members`, `${T}/members-`]],
    ["beside the members", [`${T}/members-a`, `${T}/members-b`]],
    ["the members' own name", [`${T}/members`]],
    ["no id", [`${T}/members/`]],
    ["a hidden id", [`${T}/members/_state`]],
    ["below a member", [`${T}/members/a/b`]],
    ["a member by v2", [`${T}/9e7d`]],
    ["no token's name", ["/_etcd/registry/-/members/a"]],
    ["another place", ["/members/a"]],
  ] as const)("does not read %s", (_what, [key, end]) => {
    expect(stored(key, end)).toBeUndefined();
  });
});

describe("memberParts", () => {
  const parts = (key: string, end: string) => {
    const members = readV3Members(range(key, end));
    return members === undefined ? undefined : memberParts(members).map(told);
  };

  it("leave out what begins with an underscore", () => {
    expect(parts(`${T}/members/`, `${T}/members0`)).toEqual([`${T}/ … ${T}/_`, `${T}/\` … ${T}0`]);
    expect(parts(`${T}/members/0`, `${T}/members/9`)).toEqual([`${T}/0 … ${T}/9`]);
    expect(parts(`${T}/members/a`, `${T}/members/c`)).toEqual([`${T}/a … ${T}/c`]);
    expect(parts(`${T}/members/_a`, `${T}/members/_c`)).toEqual([]);
  });
});

describe("meetsRegistry", () => {
  it.each([
    [`${T}/a`, undefined, true],
    ["/_etcd/registry", undefined, false],
    ["/other", undefined, false],
    ["a", "b", false],
    ["/", "0", true],
    ["/_etcd/registry/", "/_etcd/registry0", true],
    ["/_etcd/registry0", null, false],
    ["/_etcd", null, true],
    ["/_etcd", "/_etcd/registry/", false],
  ] as const)("%s to %s: %s", (key, end, expected) => {
    expect(meetsRegistry(range(key, end))).toBe(expected);
  });
});
