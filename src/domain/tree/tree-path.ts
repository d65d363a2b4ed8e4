/** Paths of the v2 tree as text, and the engine keys that are files of the tree. */
import { type Bytes, text, utf8 } from "../../base/bytes.ts";
import type { TreePath } from "./model.ts";

export const ROOT: TreePath = "/" as TreePath;

/** A byte that UTF-8 text cannot hold shows as this after decoding. */
const REPLACEMENT = "\ufffd";

const SLASH = 0x2f;

/** Names that no path has, and hidden ones. */
const UNSHOWN_NAME = /^(?:\.{0,2}$|_)/;

/**
 * The tree path that a decoded text means: as Go's path.Clean(path.Join("/", raw)), which etcd v2 uses. Empty and `.`
 * segments go, `..` takes its parent away (at the root: nothing), a trailing slash goes.
 */
export function parsePath(raw: string): TreePath {
  if (isClean(raw)) {
    return raw as TreePath;
  }
  const segments: string[] = [];
  for (const segment of raw.split("/")) {
    if (segment === "..") {
      segments.pop();
    } else if (segment !== "" && segment !== ".") {
      segments.push(segment);
    }
  }
  return `/${segments.join("/")}` as TreePath;
}

/** Whether a text is a tree path as it stands. */
export function isClean(raw: string): raw is TreePath {
  return raw === "/" || (raw.startsWith("/") && !raw.endsWith("/") && !/\/(?:\.{0,2})(?:\/|$)/.test(raw));
}

/** The names on the way to a path: none for the root. */
export function segmentsOf(path: TreePath): readonly string[] {
  return path === ROOT ? [] : path.slice(1).split("/");
}

/** The last name of a path; empty for the root. */
export function nameOf(path: TreePath): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The directory that holds a path; the root's is the root. */
export function parentOf(path: TreePath): TreePath {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? ROOT : (path.slice(0, slash) as TreePath);
}

/** The path of a child. The name has no slash and is not empty, `.` or `..`. */
export function childPath(directory: TreePath, name: string): TreePath {
  return (directory === ROOT ? `/${name}` : `${directory}/${name}`) as TreePath;
}

/** Every directory above a path but the root, outermost first. */
export function ancestorsOf(path: TreePath): readonly TreePath[] {
  const ancestors: TreePath[] = [];
  for (let slash = path.indexOf("/", 1); slash !== -1; slash = path.indexOf("/", slash + 1)) {
    ancestors.push(path.slice(0, slash) as TreePath);
  }
  return ancestors;
}

/**
 * A path that fits into `bytes` as it is; of a longer one the beginning that is too long by its last name. Where no key
 * can be longer both are missing for the same reason, and the short one is soon looked for.
 */
export function cutPath(path: TreePath, bytes: number): TreePath {
  if (Buffer.byteLength(path) <= bytes) return path;
  // Counted in characters: none has less than a byte, so that what is left is too long still.
  const slash = path.indexOf("/", bytes + 1);
  return slash === -1 ? path : (path.slice(0, slash) as TreePath);
}

/** Whether `path` lies below `directory` (and is not itself it). */
export function isBelow(path: TreePath, directory: TreePath): boolean {
  return path !== directory && path.startsWith(directory === ROOT ? "/" : `${directory}/`);
}

/** Whether a look from `from` misses `path`, at or below it, because a name on the way begins with `_` (v2's hidden nodes). */
export function isHidden(path: TreePath, from: TreePath): boolean {
  return path.includes("/_", from === ROOT ? 0 : from.length);
}

/** The engine key of the file at a path. */
export function keyOfPath(path: TreePath): Bytes {
  return utf8(path);
}

/** The path of the file that an engine key is, or undefined where v2 cannot name it (`a`, `/a//b`, `/`, no UTF-8). */
export function pathOfKey(key: Bytes): TreePath | undefined {
  const path = text(key);
  if (path === ROOT || !isClean(path)) {
    return undefined;
  }
  return path.includes(REPLACEMENT) && !Buffer.from(path).equals(key) ? undefined : path;
}

/**
 * Of a key below `directory` that v2 cannot name, or not from there, the directories that it lies in: as deep as names
 * go that v2 shows. Undefined where it lies in none but `directory`.
 */
export function shownPart(key: Bytes, directory: TreePath): TreePath | undefined {
  const start = directory === ROOT ? 1 : utf8(directory).length + 1;
  let shown = directory;
  for (let from = start, slash = key.indexOf(SLASH, from); slash !== -1; slash = key.indexOf(SLASH, from)) {
    const bytes = key.subarray(from, slash);
    const name = text(bytes);
    if (UNSHOWN_NAME.test(name) || (name.includes(REPLACEMENT) && !Buffer.from(name).equals(bytes))) break;
    shown = childPath(shown, name);
    from = slash + 1;
  }
  return shown === directory ? undefined : shown;
}
