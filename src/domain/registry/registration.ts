/**
 * What a write below a token does besides itself, in the same revision: it takes its turn among the writes to that
 * token, moves the token's expiry on, marks it complete, and keeps how a member came.
 */
import { prefixEnd, utf8 } from "../../base/bytes.ts";
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
import { hasBeenComplete, type TokenState } from "./token-state.ts";

/** How long a token lives, and what time it is; both in ms. 0 for the time to live: for ever. */
export interface Lifetime {
  readonly now: number;
  readonly tokenTtlMs: number;
}

/** A write to a path below a token, about to happen. */
export interface TokenWrite {
  readonly state: TokenState;
  readonly target: RegistryPath;
  readonly planned: TreeEvent;
  readonly origin: Origin;
  readonly lifetime: Lifetime;
}

/** The operations that ride on a write below a token. */
export function operationsOf(write: TokenWrite): readonly Operation[] {
  if (isDeletion(write.planned) && write.target.kind === "token") return forgetToken(write.state.token);
  const registered = registeredMember(write);
  const before = write.state.record ?? { issued: false, complete: false };
  const record = { ...before, complete: completeAfter(write, registered) };
  const member = registered === undefined ? dropMember(write) : keepMember(write, registered);
  const { record: dated, index } = registered === undefined ? { record, index: [] } : renewExpiry(write, record);
  return [put(tokenRecordKey(write.state.token), dated), ...index, ...member];
}

/** The changes that leave nothing of a token's records; its entry in the index by time goes when its time comes. */
export function forgetToken(token: Token): readonly Operation[] {
  const prefix = memberRecordsPrefix(token);
  return [remove({ key: tokenRecordKey(token) }), remove({ key: prefix, end: prefixEnd(prefix) })];
}

/** The records of a token that /new makes now. */
export function issueToken(token: Token, lifetime: Lifetime): readonly Operation[] {
  const record: TokenRecord = { issued: true, complete: false };
  if (lifetime.tokenTtlMs === 0) return [put(tokenRecordKey(token), record)];
  const expires = lifetime.now + lifetime.tokenTtlMs;
  return [
    put(tokenRecordKey(token), { ...record, expires, lookAt: expires }),
    { kind: "put", request: { key: lookAtKey(expires, token), value: NOTHING } },
  ];
}

/** Whether a command creates an entry, as nodes register: the kind of write whose repetition is no mistake. */
export function isRegistration(command: WriteCommand): command is CreateFile {
  return command.kind === "create" && command.content.kind === "file";
}

type CreateFile = Extract<WriteCommand, { readonly kind: "create" }> & {
  readonly content: { readonly kind: "file"; readonly value: Uint8Array };
};

const NOTHING = utf8("");

function isDeletion(event: TreeEvent): boolean {
  return event.action === "delete" || event.action === "compareAndDelete" || event.action === "expire";
}

function registeredMember({ target, planned }: TokenWrite): string | undefined {
  if (target.kind !== "member" || planned.node.kind !== "file" || isDeletion(planned)) return undefined;
  return target.id;
}

function completeAfter(write: TokenWrite, registered: string | undefined): boolean {
  const { state } = write;
  if (hasBeenComplete(state)) return true;
  if (registered === undefined || state.size === undefined) return false;
  const others = state.members.filter((member) => member.id !== registered);
  return others.length + 1 >= state.size;
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
  return [put(memberRecordKey(state.token, id), record)];
}

function dropMember({ state, target, planned }: TokenWrite): readonly Operation[] {
  if (target.kind !== "member" || !isDeletion(planned)) return [];
  return [remove({ key: memberRecordKey(state.token, target.id) })];
}

function renewExpiry(
  { state, lifetime }: TokenWrite,
  record: TokenRecord,
): { readonly record: TokenRecord; readonly index: readonly Operation[] } {
  if (!record.issued) return { record, index: [] };
  if (lifetime.tokenTtlMs === 0) {
    const { issued, complete } = record;
    return { record: { issued, complete }, index: [] };
  }
  const expires = lifetime.now + lifetime.tokenTtlMs;
  const lookAt = Math.min(record.lookAt ?? expires, expires);
  const entry: Operation = { kind: "put", request: { key: lookAtKey(lookAt, state.token), value: NOTHING } };
  return { record: { ...record, expires, lookAt }, index: lookAt === record.lookAt ? [] : [entry] };
}

function put(key: Uint8Array, record: TokenRecord | MemberRecord): Operation {
  return { kind: "put", request: { key, value: writeRecord(record) } };
}

function remove(range: KeyRange): Operation {
  return { kind: "deleteRange", request: range };
}
