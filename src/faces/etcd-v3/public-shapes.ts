/**
 * What of v3 the public listener answers: the requests that etcd's v3 discovery sends, to the letter (etcd 3.6 and 3.7,
 * server/etcdserver/api/v3discovery). It is decided from the request alone, before the store is read.
 */
import { type Bytes, equalBytes, prefixEnd, text, utf8 } from "../../base/bytes.ts";
import { sizePath, type Token } from "../../domain/registry/token.ts";
import { tokenOfKey, v3MembersPath } from "../../domain/registry/v3-keys.ts";
import type { PutRequest, RangeRequest, WatchCreateRequest } from "../../proto/etcdserverpb.ts";

/** A request that may be answered, for a token that may or may not be there. */
export interface Discovery {
  readonly token: Token;
}

export interface Registration extends Discovery {
  /** As etcd writes a member ID: 1 to 16 hex digits. */
  readonly id: string;
}

const MEMBER_ID = /^[0-9A-Fa-f]{1,16}$/;

/** A read of a token's size, or of its members. */
export function readDiscoveryRange(request: RangeRequest): Discovery | undefined {
  if (!isPlainRange(request)) return undefined;
  const token = tokenOfKey(request.key);
  if (token === undefined) return undefined;
  const isSize = request.rangeEnd.length === 0 && equalBytes(request.key, utf8(sizePath(token)));
  return isSize || isMembersPrefix(token, request) ? { token } : undefined;
}

/** A registration. */
export function readDiscoveryPut({
  key,
  lease,
  prevKv,
  ignoreValue,
  ignoreLease,
}: PutRequest): Registration | undefined {
  if (lease !== 0n || prevKv || ignoreValue || ignoreLease) return undefined;
  const token = tokenOfKey(key);
  if (token === undefined) return undefined;
  const path = text(key);
  const directory = `${v3MembersPath(token)}/`;
  const id = path.slice(directory.length);
  return path.startsWith(directory) && MEMBER_ID.test(id) ? { token, id } : undefined;
}

/** A wait for a token's members. */
export function readDiscoveryWatch(request: WatchCreateRequest): Discovery | undefined {
  const { filters, prevKv, fragment, progressNotify, startRevision } = request;
  if (startRevision < 0 || filters.length > 0 || prevKv || fragment || progressNotify) return undefined;
  const token = tokenOfKey(request.key);
  return token !== undefined && isMembersPrefix(token, request) ? { token } : undefined;
}

function isPlainRange(request: RangeRequest): boolean {
  const { limit, revision, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const numbers = [limit, revision, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision];
  const enums: readonly number[] = [request.sortOrder, request.sortTarget];
  const flags = [request.serializable, request.keysOnly, request.countOnly];
  return [...numbers, ...enums].every((number) => number === 0) && !flags.includes(true);
}

function isMembersPrefix(token: Token, { key, rangeEnd }: { readonly key: Bytes; readonly rangeEnd: Bytes }): boolean {
  const prefix = utf8(v3MembersPath(token));
  const end = prefixEnd(prefix);
  return end !== null && equalBytes(key, prefix) && equalBytes(rangeEnd, end);
}
