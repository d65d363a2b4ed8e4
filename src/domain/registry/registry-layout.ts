/**
 * What the registry knows beyond the tree, in internal keys (byte 0 first), written in the same transaction as the
 * write that it is about:
 *
 *   0x00 r TOKEN          the token's record
 *   0x00 m TOKEN / ID     how a member came
 *   0x00 m TOKEN / ID / moved   at which revisions it registered and was last put, before it came by `muster import`
 *   0x00 x TIME TOKEN     tokens by the time at which to look whether they have expired (TIME: ms, 8 bytes, big-endian)
 *
 * A token's record counts only if its modRevision is not below the createRevision of the token's size: one that was
 * left behind when somebody deleted the whole registry says nothing about a later token of that name.
 */
import * as z from "zod";
import { type Bytes, text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { parseToken, type Token } from "./token.ts";

const tokenRecord = z.object({
  /** Made by /new: it expires. Tokens made by hand do not. */
  issued: z.boolean(),
  /** When it expires, in ms since 1970; absent: never. */
  expires: z.number().optional(),
  /** The time under which the index by time holds it; never later than `expires`. */
  lookAt: z.number().optional(),
  /** Whether it ever had as many members as its size. */
  complete: z.boolean(),
  /**
   * No fewer than there are members, until it is complete; absent: not counted. Members that a time to live took are
   * still in it: it tells when there is no need to count, and no more.
   */
  members: z.number().optional(),
});
export type TokenRecord = Readonly<z.infer<typeof tokenRecord>>;

const memberRecord = z.object({
  protocol: z.enum(["v2", "v3"]),
  /** The v2 action that registered it: what a wait that is answered from the state says. */
  action: z.enum(["create", "set"]),
  address: z.string(),
  /** The Host by which it reached Muster. */
  host: z.string().optional(),
  /** When it registered, in ms since 1970. */
  at: z.number(),
});
export type MemberRecord = Readonly<z.infer<typeof memberRecord>>;

const movedRecord = z.object({
  /** When the member first registered, as clients were told then; counts while the member's createRevision is not newer. */
  first: z.number(),
  /** When it was last put, likewise; counts while its modRevision is not newer. */
  last: z.number(),
});
export type MovedRecord = Readonly<z.infer<typeof movedRecord>>;

const TIME_BYTES = 8;

const MEMBER_KIND = 0x6d;
const MOVED = /^[^/]+\/[^/]+\/moved$/;

function internalKey(kind: string, ...rest: readonly Bytes[]): Bytes {
  return Buffer.concat([Buffer.from(`\0${kind}`, "latin1"), ...rest]);
}

export function tokenRecordKey(token: Token): Bytes {
  return utf8(`\0r${token}`);
}

export function memberRecordKey(token: Token, id: string): Bytes {
  return utf8(`\0m${token}/${id}`);
}

export function movedRecordKey(token: Token, id: string): Bytes {
  return utf8(`\0m${token}/${id}/moved`);
}

/** Whether a key is that of a `moved` record. */
export function isMovedRecordKey(key: Bytes): boolean {
  return key[0] === 0 && key[1] === MEMBER_KIND && MOVED.test(text(key));
}

/** The prefix of all member records of a token. */
export function memberRecordsPrefix(token: Token): Bytes {
  return utf8(`\0m${token}/`);
}

export function lookAtKey(time: number, token: Token): Bytes {
  return internalKey("x", timeBytes(time), utf8(token));
}

/** All entries of the index by time up to and including `time`, as a half-open range; all of them where it is absent. */
export function lookAtRange(time?: number): { readonly key: Bytes; readonly end: Bytes } {
  return { key: internalKey("x"), end: time === undefined ? internalKey("y") : internalKey("x", timeBytes(time + 1)) };
}

export function readLookAtKey(key: Bytes): { readonly time: number; readonly token: Token } {
  const prefix = internalKey("x").length;
  const token = parseToken(text(key.subarray(prefix + TIME_BYTES)));
  if (token === undefined) throw damaged(key);
  return { time: Number(Buffer.from(key).readBigUInt64BE(prefix)), token };
}

function timeBytes(time: number): Bytes {
  const bytes = Buffer.alloc(TIME_BYTES);
  bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(time))));
  return bytes;
}

export function writeRecord(record: TokenRecord | MemberRecord | MovedRecord): Bytes {
  return utf8(JSON.stringify(record));
}

export function readTokenRecord(key: Bytes, value: Bytes): TokenRecord {
  return readJson({ schema: tokenRecord, key, value });
}

export function readMemberRecord(key: Bytes, value: Bytes): MemberRecord {
  return readJson({ schema: memberRecord, key, value });
}

export function readMovedRecord(key: Bytes, value: Bytes): MovedRecord {
  return readJson({ schema: movedRecord, key, value });
}

function readJson<T>(source: { readonly schema: z.ZodType<T>; readonly key: Bytes; readonly value: Bytes }): T {
  try {
    return source.schema.parse(JSON.parse(text(source.value)));
  } catch (cause) {
    throw damaged(source.key, cause);
  }
}

function damaged(key: Bytes, cause?: unknown): MusterError {
  const kind = text(key.subarray(1, 2));
  return new MusterError("internal", `Report this defect: a record of the registry cannot be read: kind "${kind}"`, {
    cause,
  });
}
