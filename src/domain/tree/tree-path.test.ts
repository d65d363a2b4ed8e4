import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import {
  ancestorsOf,
  childPath,
  cutPath,
  isBelow,
  isClean,
  isHidden,
  keyOfPath,
  nameOf,
  parentOf,
  parsePath,
  pathOfKey,
  ROOT,
  segmentsOf,
} from "./tree-path.ts";

const messy = fc
  .array(fc.constantFrom("", ".", "..", "a", "..b", "c.", "...", "_h", "é"), { maxLength: 8 })
  .map((segments) => segments.join("/"));

describe("parsePath", () => {
  it.each([
    ["", "/"],
    ["/", "/"],
    ["a", "/a"],
    ["//a", "/a"],
    ["/a/", "/a"],
    ["/a//b/./c", "/a/b/c"],
    ["/a/../b", "/b"],
    ["/../../b", "/b"],
    ["/a/..", "/"],
    ["/.a/..b/...", "/.a/..b/..."],
  ])("cleans %j as Go's path.Clean does", (raw, path) => {
    expect(parsePath(raw)).toBe(path);
  });

  it("gives a clean path whatever comes, and leaves a clean one alone", () => {
    fc.assert(
      fc.property(messy, (raw) => {
        const path = parsePath(raw);
        expect(isClean(path)).toBe(true);
        expect(parsePath(path)).toBe(path);
        expect(isClean(raw)).toBe(raw === path);
      }),
    );
  });
});

describe("paths and their parts", () => {
  it("take each other apart and put each other together", () => {
    fc.assert(
      fc.property(messy.map(parsePath), (path) => {
        fc.pre(path !== ROOT);
        expect(childPath(parentOf(path), nameOf(path))).toBe(path);
        expect(`/${segmentsOf(path).join("/")}`).toBe(path);
        const above = ancestorsOf(path);
        expect(above).toHaveLength(segmentsOf(path).length - 1);
        expect(above.at(-1) ?? ROOT).toBe(parentOf(path));
        for (const ancestor of [ROOT, ...above]) expect(isBelow(path, ancestor)).toBe(true);
        expect(isBelow(path, path)).toBe(false);
        expect(pathOfKey(keyOfPath(path))).toBe(path);
      }),
    );
  });

  it("isBelow: a name that begins another is not above it", () => {
    expect(isBelow(parsePath("/ab"), parsePath("/a"))).toBe(false);
  });
});

describe("isHidden", () => {
  it.each([
    ["/a/_h", "/a", true],
    ["/a/_h/k", "/", true],
    ["/_h/k", "/_h", false],
    ["/a/b_", "/a", false],
    ["/a", "/a", false],
  ])("%j seen from %j: %j", (path, from, hidden) => {
    expect(isHidden(parsePath(path), parsePath(from))).toBe(hidden);
  });
});

describe("pathOfKey", () => {
  it.each(["a", "/", "/a/", "/a//b", "/a/../b", "/.", ""])("names no file for the key %j", (key) => {
    expect(pathOfKey(utf8(key))).toBeUndefined();
  });

  it("names no file for a key that begins with a byte order mark: no path does", () => {
    expect(pathOfKey(utf8("\ufeff/a"))).toBeUndefined();
  });

  it("names no file for a key that is no UTF-8, but does for one that holds U+FFFD", () => {
    expect(pathOfKey(Buffer.from([0x2f, 0xff]))).toBeUndefined();
    expect(pathOfKey(utf8("/\ufffd"))).toBe("/\ufffd");
  });
});

describe("cutPath", () => {
  it("leaves what fits as it is, and of what does not the names until it does not fit", () => {
    expect(cutPath(parsePath("/ab/cd"), 6)).toBe("/ab/cd");
    expect(cutPath(parsePath("/ab/cd/ef/gh"), 6)).toBe("/ab/cd/ef");
    expect(cutPath(parsePath("/ab/cdefgh"), 6)).toBe("/ab/cdefgh");
  });

  it("gives a path that is too long in bytes where the whole one is, and a beginning of it", () => {
    fc.assert(
      fc.property(messy.map(parsePath), fc.nat(12), (path, bytes) => {
        const cut = cutPath(path, bytes);
        expect(Buffer.byteLength(cut) > bytes).toBe(Buffer.byteLength(path) > bytes);
        expect(cut === path || isBelow(path, cut)).toBe(true);
      }),
    );
  });
});
