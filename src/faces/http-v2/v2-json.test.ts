import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import type { DirectoryNode, FileNode, TreeNode } from "../../domain/tree/model.ts";
import { parsePath, ROOT } from "../../domain/tree/tree-path.ts";
import { errorJson, eventJson, goTime, readingPieces } from "./v2-json.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 600);

const file: FileNode = { kind: "file", path: parsePath("/d/k"), value: utf8("v"), createdIndex: 7, modifiedIndex: 9 };
const directory: DirectoryNode = { kind: "directory", path: parsePath("/d"), createdIndex: 5, modifiedIndex: 5 };

/** All pieces of an answer, put together. */
function readingJson(node: TreeNode, now: number): string {
  return piecesOf(node, { now }).join("");
}

function piecesOf(node: TreeNode, options: Parameters<typeof readingPieces>[1]): readonly string[] {
  const pieces = readingPieces(node, options);
  const all: string[] = [];
  let next = pieces.next();
  for (; next.done !== true; next = pieces.next()) all.push(next.value);
  return [...all, next.value];
}

function countNodes(node: { readonly nodes?: Iterable<unknown> } | TreeNode): number {
  const nodes = "nodes" in node ? [...(node.nodes ?? [])] : [];
  return nodes.reduce<number>((sum, child) => sum + (isNode(child) ? countNodes(child) : 0), 1);
}

function isNode(value: unknown): value is { readonly nodes?: Iterable<unknown> } {
  return typeof value === "object" && value !== null;
}

describe("readingPieces", () => {
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

  it("cut anywhere, the pieces are the answer", () => {
    const facts = { createdIndex: fc.nat(3), modifiedIndex: fc.nat(3) };
    const path = fc.string().map((name) => parsePath(`/${name.replaceAll("/", "")}`));
    const { node } = fc.letrec<{ node: TreeNode; file: FileNode; directory: DirectoryNode }>((tie) => ({
      node: fc.oneof({ maxDepth: 4 }, tie("file"), tie("directory")),
      file: fc.record({ kind: fc.constant("file"), path, value: fc.uint8Array({ maxLength: 9 }), ...facts }),
      directory: fc.record(
        { kind: fc.constant("directory"), path, nodes: fc.array(tie("node"), { maxLength: 4 }), ...facts },
        { requiredKeys: ["kind", "path", "createdIndex", "modifiedIndex"] },
      ),
    }));
    fc.assert(
      fc.property(node, fc.integer({ min: 1, max: 200 }), (root, pieceChars) => {
        const whole = piecesOf(root, { now: NOW, pieceChars: Number.POSITIVE_INFINITY });
        expect(whole).toHaveLength(1);
        const pieces = piecesOf(root, { now: NOW, pieceChars });
        expect(pieces.join("")).toBe(whole[0]);
        expect(pieces.slice(0, -1).every((piece) => piece.length >= pieceChars)).toBe(true);
        expect(countNodes(JSON.parse(pieces.join("")).node)).toBe(countNodes(root));
      }),
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
  it("shows no value of a file before that the store has forgotten", () => {
    const prevNode = { ...file, value: utf8(""), isForgotten: true } as const;
    expect(eventJson({ action: "set", node: file, prevNode, index: 9 }, NOW)).toContain(
      '"prevNode":{"key":"/d/k","modifiedIndex":9,"createdIndex":7}',
    );
  });

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
