/**
 * v2's JSON, byte for byte as Go's encoding/json writes etcd's structs: their order of fields, what they omit when it
 * is empty, and the escapes of <, > and &.
 */
import type { FileNode, TreeEvent, TreeNode } from "../../domain/tree/model.ts";
import { ROOT } from "../../domain/tree/tree-path.ts";
import { goQuoted, goText } from "./go-text.ts";

/** An answer to a get. `now`: ms since 1970, from which times to live are counted. */
export function readingJson(node: TreeNode, now: number): string {
  return `{"action":"get","node":${nodeJson(node, { now, bare: false })}}\n`;
}

/** An event, as the answer to a write or to a wait. */
export function eventJson({ action, node, prevNode }: TreeEvent, now: number): string {
  const bare = action === "delete" || action === "compareAndDelete" || action === "expire";
  // etcd 2.3.8 does not say of what expires whether it was a directory; prevNode does.
  const shown = action === "expire" ? asNamed(node) : node;
  const prev = prevNode === undefined ? "" : `,"prevNode":${nodeJson(prevNode, { now, bare: false })}`;
  return `{"action":"${action}","node":${nodeJson(shown, { now, bare })}${prev}}\n`;
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

/** `bare`: of a node that has gone the value is not shown. */
function nodeJson(node: TreeNode, options: { readonly now: number; readonly bare: boolean }): string {
  const key = node.path === ROOT ? "" : `"key":${goQuoted(node.path)},`;
  const content = node.kind === "file" ? valueField(node, options.bare) : '"dir":true,';
  const expiry = node.expires === undefined ? "" : expiryFields(node.expires, options.now);
  const nodes = node.kind === "directory" ? nodesField(node.nodes, options.now) : "";
  const modified = node.modifiedIndex === 0 ? "" : `"modifiedIndex":${node.modifiedIndex},`;
  const created = node.createdIndex === 0 ? "" : `"createdIndex":${node.createdIndex},`;
  return `{${(key + content + expiry + nodes + modified + created).slice(0, -1)}}`;
}

function valueField({ value }: FileNode, bare: boolean): string {
  return bare ? "" : `"value":${goQuoted(goText(value))},`;
}

function expiryFields(expires: number, now: number): string {
  const ttl = Math.ceil((expires - now) / 1000);
  return `"expiration":"${goTime(expires)}",${ttl === 0 ? "" : `"ttl":${ttl},`}`;
}

function nodesField(nodes: readonly TreeNode[] | undefined, now: number): string {
  if (nodes === undefined || nodes.length === 0) return "";
  return `"nodes":[${nodes.map((node) => nodeJson(node, { now, bare: false })).join(",")}],`;
}

function asNamed({ path, createdIndex, modifiedIndex }: TreeNode): FileNode {
  return { kind: "file", path, value: new Uint8Array(0), createdIndex, modifiedIndex };
}
