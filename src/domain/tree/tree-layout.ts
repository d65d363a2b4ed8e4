/**
 * Where the tree keeps what v2 knows and v3 does not: internal keys, which begin with byte 0 and no client may touch.
 *
 *   00 "a"               the last v2 write: its action, path and what a watcher cannot see in the keys themselves
 *   00 "d" PATH          a directory: {expires}; its createdIndex is the record's create revision
 *   00 "e" MS PATH       expiry index: MS is 8 bytes big-endian, so that the next node to go is the first key
 *   00 "f" PATH          a file's side record: {created, expires}
 */
import { type Bytes, utf8 } from "../../base/bytes.ts";
import { MAX_KEY_BYTES } from "../../base/limits.ts";
import type { TreePath } from "./model.ts";
import { parsePath, ROOT } from "./tree-path.ts";

/** The key that every v2 write puts. */
export const ACTION_KEY: Bytes = Buffer.from([0, 0x61]);

const DIRECTORY_PREFIX = "\0d";
const EXPIRY_PREFIX: Bytes = Buffer.from([0, 0x65]);
const EXPIRY_END: Bytes = Buffer.from([0, 0x66]);
const FILE_PREFIX = "\0f";
const TIME_BYTES = 8;

/** The longest path that v2 writes, in bytes: with all that any of the keys above puts before it, it still is a key. */
export const MAX_PATH_BYTES =
  MAX_KEY_BYTES - Math.max(EXPIRY_PREFIX.length + TIME_BYTES, DIRECTORY_PREFIX.length, FILE_PREFIX.length);

/** The three places below which a directory's content lies: files, their side records, directories. */
export type Space = "key" | "file" | "directory";

const SPACE_PREFIX = { key: "", file: FILE_PREFIX, directory: DIRECTORY_PREFIX } as const satisfies Record<
  Space,
  string
>;

/** The key of a directory's record. */
export function directoryKey(path: TreePath): Bytes {
  return utf8(DIRECTORY_PREFIX + path);
}

/** The key of a file's side record. */
export function fileRecordKey(path: TreePath): Bytes {
  return utf8(FILE_PREFIX + path);
}

/** The key of a path in one of the spaces. */
export function keyInSpace(space: Space, path: TreePath): Bytes {
  return utf8(SPACE_PREFIX[space] + path);
}

/** Everything below a directory in one of the spaces. The directory's own key is not in it. */
export function belowRange(space: Space, directory: TreePath): { readonly key: Bytes; readonly end: Bytes } {
  const start = SPACE_PREFIX[space] + (directory === ROOT ? "" : directory);
  return { key: utf8(`${start}/`), end: utf8(`${start}0`) };
}

/** Which space a key is in, and its path there as raw text; undefined for other internal keys. */
export function spaceOf(key: Bytes): { readonly space: Space; readonly pathBytes: Bytes } | undefined {
  if (key[0] !== 0) {
    return { space: "key", pathBytes: key };
  }
  if (key[1] === 0x64) {
    return { space: "directory", pathBytes: key.subarray(2) };
  }
  return key[1] === 0x66 ? { space: "file", pathBytes: key.subarray(2) } : undefined;
}

/** The key that says when a node goes (ms since 1970). */
export function expiryKey(expires: number, path: TreePath): Bytes {
  const name = utf8(path);
  const key = Buffer.alloc(EXPIRY_PREFIX.length + TIME_BYTES + name.length);
  key.set(EXPIRY_PREFIX);
  key.writeBigUInt64BE(BigInt(expires), EXPIRY_PREFIX.length);
  key.set(name, EXPIRY_PREFIX.length + TIME_BYTES);
  return key;
}

/** What an expiry key says; undefined where the key is none. */
export function parseExpiryKey(key: Bytes): { readonly expires: number; readonly path: TreePath } | undefined {
  const start = EXPIRY_PREFIX.length + TIME_BYTES;
  if (key[0] !== EXPIRY_PREFIX[0] || key[1] !== EXPIRY_PREFIX[1] || key.length <= start) {
    return undefined;
  }
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.length);
  return {
    expires: Number(bytes.readBigUInt64BE(EXPIRY_PREFIX.length)),
    path: parsePath(bytes.toString("utf8", start)),
  };
}

/** The expiry index behind a time and up to another, that one included; without them, from its start and to its end. */
export function expiryRange({ after = -1, until }: { readonly after?: number; readonly until?: number } = {}): {
  readonly key: Bytes;
  readonly end: Bytes;
} {
  return { key: expiryFrom(after + 1), end: until === undefined ? EXPIRY_END : expiryFrom(until + 1) };
}

function expiryFrom(time: number): Bytes {
  const key = Buffer.alloc(EXPIRY_PREFIX.length + TIME_BYTES);
  key.set(EXPIRY_PREFIX);
  key.writeBigUInt64BE(BigInt(Math.floor(time)), EXPIRY_PREFIX.length);
  return key;
}
