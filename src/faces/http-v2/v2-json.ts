/**
 * v2's JSON, byte for byte as Go's encoding/json writes etcd's structs: their order of fields, what they omit when it
 * is empty, and the escapes of <, > and &.
 */

import { goText } from "../../base/go-text.ts";
import { V2_ANSWER_PIECE_CHARS } from "../../base/limits.ts";
import type { FileNode, TreeEvent, TreeNode } from "../../domain/tree/model.ts";
import { ROOT } from "../../domain/tree/tree-path.ts";
import { goQuoted } from "./go-text.ts";

/**
 * An answer to a get, in pieces: each ends with the node that brings it to `pieceChars` characters; the last one, of
 * any length, is what the generator returns. `now`: ms since 1970, from which times to live are counted.
 */
export function* readingPieces(
  node: TreeNode,
  { now, pieceChars = V2_ANSWER_PIECE_CHARS }: { readonly now: number; readonly pieceChars?: number },
): Generator<string, string> {
  let piece = '{"action":"get","node":';
  for (const part of partsOf(node, now)) {
    if (piece.length >= pieceChars) {
      yield piece;
      piece = "";
    }
    piece += part;
  }
  return `${piece}}\n`;
}

/** An event, as the answer to a write or to a wait. */
export function eventJson({ action, node, prevNode }: TreeEvent, now: number): string {
  const bare = action === "delete" || action === "compareAndDelete" || action === "expire";
  // etcd 2.3.8 does not say of what expires whether it was a directory; prevNode does.
  const shown = action === "expire" ? asNamed(node) : node;
  const prev = prevNode === undefined ? "" : `,"prevNode":${nodeJson(prevNode, { now, bare: false })}`;
  return `{"action":"${action}","node":${nodeJson(shown, { now, bare })}${prev}}\n`;
}

/** Whether JSON of this face shows a time to live. A value cannot look so: its quotes are escaped. */
export function showsTimes(json: string): boolean {
  return json.includes(EXPIRATION_FIELD);
}

/** An error. An empty cause is left out, as etcd does. */
export function errorJson(error: {
  readonly errorCode: number;
  readonly message: string;
  readonly cause: string;
  readonly index: number;
}): string {
  const cause = error.cause === "" ? "" : `,"cause":${goQuoted(error.cause)}`;
  return `{"errorCode":${error.errorCode},"message":${goQuoted(error.message)}${cause},"index":${error.index}}\n`;
}

/** A time as Go prints it in RFC 3339: UTC, the fraction of a second without zeros at its end. */
export function goTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, "Z");
}

interface OpenDirectory {
  readonly nodes: Iterator<TreeNode>;
  /** The fields behind its nodes. */
  readonly end: string;
  hasNodes: boolean;
}

/** A node with all that is in it, piece by piece; not by recursion, as directories may lie very deep. */
function* partsOf(root: TreeNode, now: number): Generator<string> {
  const open: OpenDirectory[] = [];
  yield beginNode(root, open, now);
  for (let directory = open.at(-1); directory !== undefined; directory = open.at(-1)) {
    const next = directory.nodes.next();
    if (next.done === true) {
      open.pop();
      yield `${directory.hasNodes ? "]" : ""}${directory.end}}`;
    } else {
      const before = directory.hasNodes ? "," : ',"nodes":[';
      directory.hasNodes = true;
      yield before + beginNode(next.value, open, now);
    }
  }
}

/** A file, or the beginning of a directory that is then open. */
function beginNode(node: TreeNode, open: OpenDirectory[], now: number): string {
  if (node.kind === "file" || node.nodes === undefined) return nodeJson(node, { now, bare: false });
  const end = indexFields(node);
  open.push({ nodes: node.nodes[Symbol.iterator](), end, hasNodes: false });
  return `{${mainFields(node, { now, bare: false })}`;
}

/** A node alone. `bare`: of a node that has gone the value is not shown; nor is one that is not known. */
function nodeJson(node: TreeNode, options: { readonly now: number; readonly bare: boolean }): string {
  const fields = mainFields(node, options) + indexFields(node);
  return `{${fields.startsWith(",") ? fields.slice(1) : fields}}`;
}

function mainFields(node: TreeNode, options: { readonly now: number; readonly bare: boolean }): string {
  const key = node.path === ROOT ? "" : `"key":${goQuoted(node.path)}`;
  const content = node.kind === "file" ? valueField(node, options.bare) : ',"dir":true';
  const expiry = node.expires === undefined ? "" : expiryFields(node.expires, options.now);
  return key === "" ? (content + expiry).slice(1) : key + content + expiry;
}

function indexFields({ createdIndex, modifiedIndex }: TreeNode): string {
  const modified = modifiedIndex === 0 ? "" : `,"modifiedIndex":${modifiedIndex}`;
  return createdIndex === 0 ? modified : `${modified},"createdIndex":${createdIndex}`;
}

function valueField({ value, isForgotten }: FileNode, bare: boolean): string {
  return bare || isForgotten === true ? "" : `,"value":${goQuoted(goText(value))}`;
}

const EXPIRATION_FIELD = ',"expiration":"';

function expiryFields(expires: number, now: number): string {
  const ttl = Math.ceil((expires - now) / 1000);
  return `${EXPIRATION_FIELD}${goTime(expires)}"${ttl === 0 ? "" : `,"ttl":${ttl}`}`;
}

function asNamed({ path, createdIndex, modifiedIndex }: TreeNode): FileNode {
  return { kind: "file", path, value: new Uint8Array(0), createdIndex, modifiedIndex };
}
