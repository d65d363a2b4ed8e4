/**
 * What a write below a token does besides itself, in the same revision: it takes its turn among the writes to that
 * token, moves the token's expiry on, marks it complete, and keeps how a member came.
 */
import { type Bytes, NO_BYTES, prefixEnd } from "../../base/bytes.ts";
import type { KeyRange, Operation } from "../../engine/model.ts";
import type { TreeEvent, WriteCommand } from "../tree/model.ts";
import type { Origin } from "./origin.ts";
import {
  lookAtKey,
  type MemberRecord,
  memberRecordKey,
  memberRecordsPrefix,
  type TokenRecord,
  tokenRecordKey,
  writeRecord,
} from "./registry-layout.ts";
import type { RegistryPath, Token } from "./token.ts";
import type { TokenHead } from "./token-state.ts";

/** How long a token lives, and what time it is; both in ms. 0 for the time to live: for ever. */
export interface Lifetime {
  readonly now: number;
  readonly tokenTtlMs: number;
}

/** A write to a path below a token, about to happen. */
export interface TokenWrite {
  readonly state: Pick<TokenHead, "token" | "size" | "record">;
  /** The members that are there before it; undefined where nobody counted them. */
  readonly members?: readonly string[] | undefined;
  readonly target: RegistryPath;
  readonly planned: TreeEvent;
  readonly origin: Origin;
  readonly lifetime: Lifetime;
}

/** A token's record, and its bytes. */
export interface WrittenRecord {
  readonly record: TokenRecord;
  readonly recordValue: Bytes;
}

/** What rides on a write below a token. */
export interface TokenChange {
  /** The token's record from then on; undefined where the token goes. */
  readonly written: WrittenRecord | undefined;
  readonly operations: readonly Operation[];
}

/** Works out what rides on a write below a token; its members must have been counted where `mustCount` says so. */
export function changeOf(write: TokenWrite): TokenChange {
  const { token, record: before } = write.state;
  if (isDeletion(write.planned) && write.target.kind === "token") {
    return { written: undefined, operations: forgetToken(token) };
  }
  const registered = registeredMember(write);
  const { complete, members } = countAfter(write, registered);
  const { issued = false, expires, lookAt } = before ?? {};
  const counted = { issued, expires, lookAt, complete, members };
  const member = registered === undefined ? dropMember(write) : keepMember(write, registered);
  const { record, index } = registered === undefined ? { record: counted, index: [] } : renewExpiry(write, counted);
  const written = { record, recordValue: writeRecord(record) };
  return { written, operations: [keepRecord(token, written), ...index, ...member] };
}

/**
 * Whether a write can only be worked out by somebody who knows the token's members: where the token may be, or become,
 * complete, and before a deletion, which must find out whether it has been.
 */
export function mustCount(write: TokenWrite): boolean {
  const { size, record } = write.state;
  if (record?.complete === true || size === undefined) return false;
  if (isDeletion(write.planned)) return write.target.kind !== "token";
  return record?.members === undefined || record.members + addedMembers(write) >= size;
}

/** The changes that leave nothing of a token's records; its entry in the index by time goes when its time comes. */
export function forgetToken(token: Token): readonly Operation[] {
  const prefix = memberRecordsPrefix(token);
  return [remove({ key: tokenRecordKey(token) }), remove({ key: prefix, end: prefixEnd(prefix) })];
}

/** What rides on the write by which /new makes a token now. */
export function issueToken(
  token: Token,
  { now, tokenTtlMs }: Lifetime,
): { readonly written: WrittenRecord } & TokenChange {
  const expires = tokenTtlMs === 0 ? undefined : now + tokenTtlMs;
  const record: TokenRecord = { issued: true, expires, lookAt: expires, complete: false, members: 0 };
  const written = { record, recordValue: writeRecord(record) };
  const index = expires === undefined ? [] : [lookAtEntry(expires, token)];
  return { written, operations: [keepRecord(token, written), ...index] };
}

/** Whether a command creates an entry, as nodes register: the kind of write whose repetition is no mistake. */
export function isRegistration(command: WriteCommand): command is CreateFile {
  return command.kind === "create" && command.content.kind === "file";
}

type CreateFile = Extract<WriteCommand, { readonly kind: "create" }> & {
  readonly content: { readonly kind: "file"; readonly value: Uint8Array };
};

function isDeletion(event: TreeEvent): boolean {
  return event.action === "delete" || event.action === "compareAndDelete" || event.action === "expire";
}

function registeredMember({ target, planned }: TokenWrite): string | undefined {
  if (target.kind !== "member" || planned.node.kind !== "file" || isDeletion(planned)) return undefined;
  return target.id;
}

/** How many members a write adds: a first registration one. */
function addedMembers(write: TokenWrite): number {
  return registeredMember(write) !== undefined && write.planned.prevNode === undefined ? 1 : 0;
}

/** Whether the token has been complete then, and as long as it has not, how many members it has. */
function countAfter(write: TokenWrite, registered: string | undefined): Pick<TokenRecord, "complete" | "members"> {
  const { state, members, target, planned } = write;
  const { record, size } = state;
  if (record?.complete === true) return { complete: true, members: undefined };
  if (members === undefined) {
    const known = record?.members;
    return { complete: false, members: known === undefined ? undefined : known + addedMembers(write) };
  }
  const gone = target.kind === "member" && isDeletion(planned) ? target.id : undefined;
  const others = members.filter((id) => id !== registered && id !== gone);
  const after = others.length + (registered === undefined ? 0 : 1);
  const complete = size !== undefined && Math.max(members.length, after) >= size;
  return complete ? { complete, members: undefined } : { complete, members: after };
}

function keepMember({ state, planned, origin, lifetime }: TokenWrite, id: string): readonly Operation[] {
  if (planned.prevNode !== undefined) return [];
  const record: MemberRecord = {
    protocol: origin.protocol,
    action: planned.action === "create" ? "create" : "set",
    address: origin.address,
    host: origin.host,
    at: lifetime.now,
  };
  return [put(memberRecordKey(state.token, id), writeRecord(record))];
}

function dropMember({ state, target, planned }: TokenWrite): readonly Operation[] {
  if (target.kind !== "member" || !isDeletion(planned)) return [];
  return [remove({ key: memberRecordKey(state.token, target.id) })];
}

function renewExpiry(
  { state, lifetime }: TokenWrite,
  record: TokenRecord,
): { readonly record: TokenRecord; readonly index: readonly Operation[] } {
  const { issued, complete, members } = record;
  if (!issued) return { record, index: [] };
  if (lifetime.tokenTtlMs === 0) return { record: { issued, complete, members }, index: [] };
  const expires = lifetime.now + lifetime.tokenTtlMs;
  const lookAt = Math.min(record.lookAt ?? expires, expires);
  const index = lookAt === record.lookAt ? [] : [lookAtEntry(lookAt, state.token)];
  return { record: { issued, expires, lookAt, complete, members }, index };
}

function keepRecord(token: Token, { recordValue }: WrittenRecord): Operation {
  return put(tokenRecordKey(token), recordValue);
}

function lookAtEntry(time: number, token: Token): Operation {
  return put(lookAtKey(time, token), NO_BYTES);
}

function put(key: Bytes, value: Bytes): Operation {
  return { kind: "put", request: { key, value } };
}

function remove(range: KeyRange): Operation {
  return { kind: "deleteRange", request: range };
}
