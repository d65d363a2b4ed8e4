/** A token as it stands at one revision, read in one call of the engine. */
import { type Bytes, prefixEnd, text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_CLUSTER_SIZE } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Compare, KeyValue, Operation, RangeRequest, RangeResult, Revision } from "../../engine/model.ts";
import { readTokenRecord, type TokenRecord, tokenRecordKey } from "./registry-layout.ts";
import { sizePath, type Token, tokenPath } from "./token.ts";

/** A member as the store has it: its key-value and the last part of its path. */
export interface StoredMember {
  readonly id: string;
  readonly kv: KeyValue;
}

/** A token as it was read. */
export type TokenReading = TokenState | MissingToken;

/** There is no such token, or its time is over. */
export interface MissingToken {
  readonly exists: false;
  readonly token: Token;
  readonly revision: Revision;
}

export interface TokenState {
  readonly exists: true;
  readonly token: Token;
  /** The store's revision when it was read. */
  readonly revision: Revision;
  /** Absent where the token has no size that is one (then it is no token that nodes can use). */
  readonly size: number | undefined;
  readonly record: TokenRecord | undefined;
  /** 0: there is no record. For the compare that makes writes to one token take turns. */
  readonly recordRevision: Revision;
  /** By first registration, the oldest first. */
  readonly members: readonly StoredMember[];
}

/** Reads a token at the time `now` (ms since 1970): it exists where it has a size and its time is not over. */
export async function readToken(engine: Engine, token: Token, now: number): Promise<TokenReading> {
  const directory = utf8(`${tokenPath(token)}/`);
  const { revision, ranges } = await readTogether(engine, [
    { key: utf8(sizePath(token)) },
    { key: tokenRecordKey(token) },
    { key: directory, end: prefixEnd(directory) },
  ]);
  const [sizes, records, below] = ranges;
  const sizeKv = sizes?.kvs[0];
  const recordKv = records?.kvs[0];
  if (sizeKv === undefined) return { exists: false, token, revision };
  const record = currentRecord(sizeKv, recordKv);
  if (record?.expires !== undefined && record.expires <= now) return { exists: false, token, revision };
  return {
    exists: true,
    token,
    revision,
    size: parseStoredSize(sizeKv.value),
    record,
    recordRevision: recordKv?.modRevision ?? 0,
    members: membersOf(directory, below?.kvs ?? []),
  };
}

/** Whether a token is past its time at `now` (ms since 1970), swept or not yet. */
export async function isExpired(engine: Engine, token: Token, now: number): Promise<boolean> {
  const { ranges } = await readTogether(engine, [{ key: utf8(sizePath(token)) }, { key: tokenRecordKey(token) }]);
  const record = currentRecord(ranges[0]?.kvs[0], ranges[1]?.kvs[0]);
  return record?.expires !== undefined && record.expires <= now;
}

/** Whether the token has, or ever had, as many members as its size. */
export function hasBeenComplete(state: TokenState): boolean {
  if (state.record?.complete === true) return true;
  return state.size !== undefined && state.members.length >= state.size;
}

/** The compare that makes a transaction fail if anybody wrote below the token since it was read. */
export function unchangedRecord(state: TokenState): Compare {
  return { key: tokenRecordKey(state.token), target: "modRevision", result: "equal", expected: state.recordRevision };
}

/** The size in its one written form: a whole number from 1 to MAX_CLUSTER_SIZE, else undefined. */
export function parseSize(written: string): number | undefined {
  if (!/^\+?[0-9]{1,20}$/.test(written)) return undefined;
  const size = Number(written);
  return size >= 1 && size <= MAX_CLUSTER_SIZE ? size : undefined;
}

/** A record that was left behind by an earlier token of the same name says nothing. */
function currentRecord(sizeKv: KeyValue | undefined, recordKv: KeyValue | undefined): TokenRecord | undefined {
  if (sizeKv === undefined || recordKv === undefined || recordKv.modRevision < sizeKv.createRevision) return undefined;
  return readTokenRecord(recordKv.key, recordKv.value);
}

function parseStoredSize(value: Bytes): number | undefined {
  return parseSize(text(value).trim());
}

function membersOf(directory: Bytes, kvs: readonly KeyValue[]): readonly StoredMember[] {
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
