/**
 * Where v3 finds a token's members. They are stored once, where v2 has them (`TOKEN/<id>`); etcd's v3 discovery looks
 * for `TOKEN/members/<id>`. What a v3 client asks within `TOKEN/members` is about the members; any wider range shows the
 * keys as they are stored, so that nothing is there twice.
 */
import { type Bytes, compareBytes, prefixEnd, startsWith, text, utf8 } from "../../base/bytes.ts";
import type { KeyRange } from "../../engine/model.ts";
import type { TreePath } from "../tree/model.ts";
import { childPath, parsePath } from "../tree/tree-path.ts";
import { parseToken, REGISTRY_ROOT, type Token, tokenPath } from "./token.ts";

const PREFIX = utf8(`${REGISTRY_ROOT}/`);
const PREFIX_END = prefixEnd(PREFIX);
const SLASH = 0x2f;
const UNDERSCORE = 0x5f;

/** The members of a token, or those whose ids lie in a range, as v3 asks for them. */
export interface V3Members {
  readonly token: Token;
  /** Where they are stored; other things below the token lie in a range as well. */
  readonly stored: KeyRange;
}

/** Whether a range has a key below the registry's root. Asked of every key that v3 clients name. */
export function meetsRegistry({ key, end }: KeyRange): boolean {
  if (end === undefined) return key[1] === UNDERSCORE && startsWith(key, PREFIX);
  if (PREFIX_END !== null && compareBytes(key, PREFIX_END) >= 0) return false;
  return end === null || compareBytes(end, PREFIX) > 0;
}

/** The token at or below which a key lies; undefined where it lies below none. */
export function tokenOfKey(key: Bytes): Token | undefined {
  if (!startsWith(key, PREFIX)) return undefined;
  const end = key.indexOf(SLASH, PREFIX.length);
  return parseToken(text(key.subarray(PREFIX.length, end === -1 ? key.length : end)));
}

/** Where etcd's v3 discovery looks for a token's members: also the prefix that it asks for, without a slash at the end. */
export function v3MembersPath(token: Token): TreePath {
  return childPath(tokenPath(token), "members");
}

/** Reads a range with the eyes of v3 discovery; undefined where it means anything but members of one token. */
export function readV3Members({ key, end }: KeyRange): V3Members | undefined {
  const token = tokenOfKey(key);
  if (token === undefined) return undefined;
  const base = utf8(v3MembersPath(token));
  if (!startsWith(key, base)) return undefined;
  const first = utf8(`${v3MembersPath(token)}/`);
  if (end === undefined) {
    const id = key.subarray(first.length);
    return startsWith(key, first) && isMemberId(id) ? { token, stored: { key: storedKey(token, id) } } : undefined;
  }
  const last = prefixEnd(base);
  const afterAll = prefixEnd(first);
  if (end === null || last === null || afterAll === null || compareBytes(end, last) > 0) return undefined;
  if (compareBytes(end, first) <= 0 || compareBytes(key, afterAll) >= 0) return undefined;
  const from = compareBytes(key, first) <= 0 ? new Uint8Array() : key.subarray(first.length);
  const to =
    compareBytes(end, afterAll) >= 0 ? prefixEnd(storedKey(token)) : storedKey(token, end.subarray(first.length));
  return { token, stored: { key: storedKey(token, from), end: to } };
}

/** The id of a member that is stored under a key; undefined where the key is no member of the token. */
export function idOfStored(token: Token, key: Bytes): Bytes | undefined {
  const directory = storedKey(token);
  if (!startsWith(key, directory)) return undefined;
  const id = key.subarray(directory.length);
  return isMemberId(id) ? id : undefined;
}

/** The key under which v3 knows what is stored under `key`, below a token. */
export function v3KeyOf(token: Token, key: Bytes): Bytes {
  return Buffer.concat([utf8(`${v3MembersPath(token)}/`), key.subarray(storedKey(token).length)]);
}

/** The path of a stored key below a token, for those who think in paths. */
export function pathOfStored(key: Bytes): TreePath {
  return parsePath(text(key));
}

/** A range of members in the two parts that leave out what the registry keeps for itself beside them (`_config`). */
export function memberParts({ token, stored }: V3Members): readonly KeyRange[] {
  const { key, end } = stored;
  if (end === undefined) return [stored];
  const hidden = storedKey(token, Uint8Array.of(UNDERSCORE));
  const shown = storedKey(token, Uint8Array.of(UNDERSCORE + 1));
  const before = { key, end: least(end, hidden) };
  const after = { key: compareBytes(key, shown) > 0 ? key : shown, end };
  return [before, after].filter((part) => part.end === null || compareBytes(part.key, part.end) < 0);
}

function least(end: Bytes | null, bound: Bytes): Bytes {
  return end === null || compareBytes(bound, end) < 0 ? bound : end;
}

function storedKey(token: Token, id: Bytes = new Uint8Array()): Bytes {
  return Buffer.concat([utf8(`${tokenPath(token)}/`), id]);
}

function isMemberId(id: Bytes): boolean {
  return id.length > 0 && id[0] !== UNDERSCORE && !id.includes(SLASH);
}
