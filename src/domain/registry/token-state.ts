/** A token as it stands at one revision, with or without its members, read in one call of the engine. */
import { prefixEnd, text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_CLUSTER_SIZE } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, KeyValue, Operation, RangeRequest, RangeResult, Revision } from "../../engine/model.ts";
import {
  memberRecordKey,
  readMemberRecord,
  readTokenRecord,
  type TokenRecord,
  tokenRecordKey,
} from "./registry-layout.ts";
import type { Completion } from "./starting-over.ts";
import { sizePath, type Token, tokenPath } from "./token.ts";

/** A member as the store has it: the last part of its path, and its key-value (see each reader for whether with value). */
export interface StoredMember {
  readonly id: string;
  readonly kv: KeyValue;
}

/** There is no such token, or its time is over. */
export interface MissingToken {
  readonly exists: false;
  readonly token: Token;
  readonly revision: Revision;
  /** Of a record that is left, or whose time is over; 0: there is none. */
  readonly recordRevision: Revision;
  /** Likewise, of the size. */
  readonly sizeRevision: Revision;
}

/** A token without its members: reading it costs the same however many there are. */
export interface TokenHead {
  readonly exists: true;
  readonly token: Token;
  /** The store's revision when it was read. */
  readonly revision: Revision;
  /** Absent where the token has no size that is one (then it is no token that nodes can use). */
  readonly size: number | undefined;
  readonly record: TokenRecord | undefined;
  /** 0: there is no record. For the compare that makes writes to one token take turns. */
  readonly recordRevision: Revision;
  /** The size and the record as they are stored. */
  readonly stored: { readonly size: KeyValue; readonly record: KeyValue | undefined };
}

export interface TokenState extends TokenHead {
  /** By first registration, the oldest first; their values are empty. */
  readonly members: readonly StoredMember[];
}

/** Reads a token at the time `now` (ms since 1970): it exists where it has a size and its time is not over. */
export async function readTokenHead(engine: Engine, token: Token, now: number): Promise<TokenHead | MissingToken> {
  const { revision, ranges } = await readTogether(engine, headRanges(token));
  return headOf({ token, now, revision }, ranges);
}

/** Reads a token with its members. */
export async function readToken(engine: Engine, token: Token, now: number): Promise<TokenState | MissingToken> {
  const members = { ...membersRange(token), keysOnly: true };
  const { revision, ranges } = await readTogether(engine, [...headRanges(token), members]);
  const head = headOf({ token, now, revision }, ranges);
  return head.exists ? { ...head, members: membersOf(token, ranges[2]?.kvs ?? []) } : head;
}

/** The members of a token with their values, and the revision at which they were read. */
export async function readMembers(
  engine: Engine,
  token: Token,
): Promise<{ readonly revision: Revision; readonly members: readonly StoredMember[] }> {
  const { revision, kvs } = await engine.range(membersRange(token));
  return { revision, members: membersOf(token, kvs) };
}

/** The members of a token, by first registration. */
export async function readMemberIds(engine: Engine, token: Token): Promise<readonly string[]> {
  const { kvs } = await engine.range({ ...membersRange(token), keysOnly: true });
  return membersOf(token, kvs).map(({ id }) => id);
}

function headRanges(token: Token): readonly RangeRequest[] {
  return [{ key: utf8(sizePath(token)) }, { key: tokenRecordKey(token) }];
}

function membersRange(token: Token): RangeRequest {
  const directory = utf8(`${tokenPath(token)}/`);
  return { key: directory, end: prefixEnd(directory), uncounted: true };
}

function headOf(
  { token, now, revision }: { readonly token: Token; readonly now: number; readonly revision: Revision },
  ranges: readonly RangeResult[],
): TokenHead | MissingToken {
  const sizeKv = ranges[0]?.kvs[0];
  const recordKv = ranges[1]?.kvs[0];
  const record = currentRecord(sizeKv, recordKv);
  const expired = record?.expires !== undefined && record.expires <= now;
  const recordRevision = recordKv?.modRevision ?? 0;
  if (sizeKv === undefined || expired) {
    return { exists: false, token, revision, recordRevision, sizeRevision: sizeKv?.modRevision ?? 0 };
  }
  const size = parseSize(text(sizeKv.value).trim());
  return { exists: true, token, revision, size, record, recordRevision, stored: { size: sizeKv, record: recordKv } };
}

/** Whether the token has, or ever had, as many members as its size. */
export function hasBeenComplete(state: TokenState): boolean {
  if (state.record?.complete === true) return true;
  return state.size !== undefined && state.members.length >= state.size;
}

/** When the token became complete, if the member that made it so is still there. */
export async function completionOf(engine: Engine, state: TokenState): Promise<Completion | undefined> {
  const last = state.size === undefined ? undefined : state.members[state.size - 1];
  if (last === undefined) return undefined;
  const { kvs } = await engine.range({ key: memberRecordKey(state.token, last.id) });
  const [kv] = kvs;
  if (kv === undefined) return undefined;
  return { revision: last.kv.createRevision, time: readMemberRecord(kv.key, kv.value).at };
}

/** The compare that makes a transaction fail if anybody wrote below the token since it was read. */
export function unchangedRecord(state: TokenHead): Compare {
  return { key: tokenRecordKey(state.token), target: "modRevision", result: "equal", expected: state.recordRevision };
}

/** The compares that make a transaction fail if anybody made the token, or wrote below it, since it was read. */
export function unchangedToken(state: TokenHead | MissingToken): readonly Compare[] {
  if (state.exists) return [unchangedRecord(state)];
  const { token, recordRevision, sizeRevision } = state;
  return [
    { key: tokenRecordKey(token), target: "modRevision", result: "equal", expected: recordRevision },
    { key: utf8(sizePath(token)), target: "modRevision", result: "equal", expected: sizeRevision },
  ];
}

/** The size that a text means, with a plus sign and leading zeros as Go's ParseInt: 1 to MAX_CLUSTER_SIZE, else undefined. */
export function parseSize(written: string): number | undefined {
  if (!/^\+?[0-9]{1,20}$/.test(written)) return undefined;
  const size = Number(written);
  return size >= 1 && size <= MAX_CLUSTER_SIZE ? size : undefined;
}

/** A token's size and record as they are stored, for the sweeper, to which it does not matter whether time is over. */
export async function readTokenRecordOf(
  engine: Engine,
  token: Token,
): Promise<{ readonly size?: KeyValue; readonly kv?: KeyValue; readonly record?: TokenRecord }> {
  const { ranges } = await readTogether(engine, headRanges(token));
  const size = ranges[0]?.kvs[0];
  const kv = ranges[1]?.kvs[0];
  const record = size === undefined && kv !== undefined ? readTokenRecord(kv.key, kv.value) : currentRecord(size, kv);
  return {
    ...(size === undefined ? {} : { size }),
    ...(kv === undefined ? {} : { kv }),
    ...(record === undefined ? {} : { record }),
  };
}

/** A token's record, if it says anything: one that an earlier token of the same name left behind does not. */
function currentRecord(sizeKv: KeyValue | undefined, recordKv: KeyValue | undefined): TokenRecord | undefined {
  if (sizeKv === undefined || recordKv === undefined || recordKv.modRevision < sizeKv.createRevision) return undefined;
  return readTokenRecord(recordKv.key, recordKv.value);
}

function membersOf(token: Token, kvs: readonly KeyValue[]): readonly StoredMember[] {
  const directory = utf8(`${tokenPath(token)}/`);
  return kvs
    .map((kv) => ({ id: text(kv.key.subarray(directory.length)), kv }))
    .filter(({ id }) => id !== "" && !id.startsWith("_") && !id.includes("/"))
    .sort((a, b) => a.kv.createRevision - b.kv.createRevision);
}

async function readTogether(
  engine: Engine,
  requests: readonly RangeRequest[],
): Promise<{ readonly revision: Revision; readonly ranges: readonly RangeResult[] }> {
  const success = requests.map((request): Operation => ({ kind: "range", request }));
  const { revision, results } = await engine.txn({ compares: [], success, failure: [] });
  const ranges = results.map((result) => {
    if (result.kind === "range") return result.result;
    throw new MusterError("internal", `Report this defect: the engine answered a range with a ${result.kind}`);
  });
  return { revision, ranges };
}
