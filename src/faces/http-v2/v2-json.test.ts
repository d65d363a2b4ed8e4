import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import type { DirectoryNode, FileNode } from "../../domain/tree/model.ts";
import { parsePath, ROOT } from "../../domain/tree/tree-path.ts";
import { errorJson, eventJson, goTime, readingJson } from "./v2-json.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 600);

const file: FileNode = { kind: "file", path: parsePath("/d/k"), value: utf8("v"), createdIndex: 7, modifiedIndex: 9 };
const directory: DirectoryNode = { kind: "directory", path: parsePath("/d"), createdIndex: 5, modifiedIndex: 5 };

describe("readingJson", () => {
  it("has the fields in etcd's order, and ends its line", () => {
    const node = {
      ...directory,
      expires: NOW + 1500,
      nodes: [file, { ...directory, path: parsePath("/d/e"), nodes: [] }],
    };
    expect(readingJson(node, NOW)).toBe(
      '{"action":"get","node":{"key":"/d","dir":true,"expiration":"2026-01-02T03:04:07.1Z","ttl":2,"nodes":[' +
        '{"key":"/d/k","value":"v","modifiedIndex":9,"createdIndex":7},' +
        '{"key":"/d/e","dir":true,"modifiedIndex":5,"createdIndex":5}],"modifiedIndex":5,"createdIndex":5}}\n',
    );
  });

  it("shows the root without name and indices", () => {
    const root: DirectoryNode = { kind: "directory", path: ROOT, createdIndex: 0, modifiedIndex: 0, nodes: [] };
    expect(readingJson(root, NOW)).toBe('{"action":"get","node":{"dir":true}}\n');
  });

  it("escapes as Go does", () => {
    const node = { ...file, value: utf8('<&>"\\\u2028\n\0é') };
    expect(readingJson(node, NOW)).toContain('"value":"\\u003c\\u0026\\u003e\\"\\\\\\u2028\\n\\u0000é"');
  });
});

describe("eventJson", () => {
  it("shows no value of what was deleted, but of what was there before", () => {
    expect(eventJson({ action: "delete", node: { ...file, value: utf8("") }, prevNode: file, index: 9 }, NOW)).toBe(
      '{"action":"delete","node":{"key":"/d/k","modifiedIndex":9,"createdIndex":7},' +
        '"prevNode":{"key":"/d/k","value":"v","modifiedIndex":9,"createdIndex":7}}\n',
    );
  });

  it("shows an empty value that was set", () => {
    expect(eventJson({ action: "set", node: { ...file, value: utf8("") }, index: 9 }, NOW)).toContain('"value":""');
  });

  it("leaves out a time to live of zero, not one that is over", () => {
    const gone = (expires: number) => eventJson({ action: "update", node: { ...file, expires }, index: 9 }, NOW);
    expect(gone(NOW)).not.toContain("ttl");
    expect(gone(NOW - 1000)).toContain('"ttl":-1,');
  });
});

describe("errorJson", () => {
  it("leaves out an empty cause", () => {
    const error = { errorCode: 100, message: "Key not found", index: 3 };
    expect(errorJson({ ...error, cause: "/k" })).toBe(
      '{"errorCode":100,"message":"Key not found","cause":"/k","index":3}\n',
    );
    expect(errorJson({ ...error, cause: "" })).not.toContain("cause");
  });
});

describe("goTime", () => {
  it.each([
    [0, "1970-01-01T00:00:00Z"],
    [NOW, "2026-01-02T03:04:05.6Z"],
    [NOW + 12, "2026-01-02T03:04:05.612Z"],
    [NOW + 400, "2026-01-02T03:04:06Z"],
    [Date.UTC(2026, 0, 2, 3, 4, 50), "2026-01-02T03:04:50Z"],
  ])("prints %d as %s", (ms, printed) => {
    expect(goTime(ms)).toBe(printed);
  });
});
