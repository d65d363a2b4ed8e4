/** Short ways to write requests, and to read results, in tests. */
import { expect } from "vitest";
import { type Bytes, prefixEnd, utf8 } from "../../src/base/bytes.ts";
import { type ErrorCode, MusterError } from "../../src/base/errors.ts";
import type { Engine, Watch } from "../../src/engine/engine.ts";
import type {
  Compare,
  DeleteRangeRequest,
  Event,
  KeyRange,
  KeyValue,
  Operation,
  OperationResult,
  PutRequest,
  RangeRequest,
  RangeResult,
  TxnRequest,
  TxnResult,
  WatchMessage,
} from "../../src/engine/model.ts";

/** Just this key. */
export const one = (key: string): KeyRange => ({ key: utf8(key) });
/** Every key from `key` on. */
export const from = (key: string): KeyRange => ({ key: utf8(key), end: null });
export const between = (key: string, end: string): KeyRange => ({ key: utf8(key), end: utf8(end) });
export const prefix = (key: string): KeyRange => ({ key: utf8(key), end: prefixEnd(utf8(key)) });
export const ALL = from("");

type PutOptions = Omit<PutRequest, "key" | "value">;

export const put = (key: string, value: string, options: PutOptions = {}): Operation => ({
  kind: "put",
  request: { key: utf8(key), value: utf8(value), ...options },
});
export const del = (range: KeyRange, options: Omit<DeleteRangeRequest, "key" | "end"> = {}): Operation => ({
  kind: "deleteRange",
  request: { ...range, ...options },
});
export const get = (range: KeyRange, options: Omit<RangeRequest, "key" | "end"> = {}): Operation => ({
  kind: "range",
  request: { ...range, ...options },
});
export const txn = (
  compares: readonly Compare[],
  success: readonly Operation[],
  failure: readonly Operation[] = [],
): TxnRequest => ({ compares, success, failure });
export const nested = (...parts: Parameters<typeof txn>): Operation => ({ kind: "txn", request: txn(...parts) });

/** A transaction without a condition. */
export function apply(engine: Engine, ...operations: readonly Operation[]): Promise<TxnResult> {
  return engine.txn(txn([], operations));
}

/** Holds whatever the store has: the version of a key that no test uses is 0. */
export const ALWAYS: Compare = { ...one("no such key"), target: "version", result: "equal", expected: 0 };
export const NEVER: Compare = { ...ALWAYS, result: "notEqual" };

/** Bytes as text, so that a failed comparison can be read: `a=1 create 2 mod 3 version 2`. */
export function line(kv: KeyValue): string {
  const lease = kv.lease === 0n ? "" : ` lease ${kv.lease}`;
  return `${name(kv.key)}=${name(kv.value)} create ${kv.createRevision} mod ${kv.modRevision} version ${kv.version}${lease}`;
}

export function name(bytes: Bytes): string {
  return Buffer.from(bytes).toString("latin1");
}

export function lines(kvs: readonly KeyValue[]): readonly string[] {
  return kvs.map(line);
}

export function keys(kvs: readonly KeyValue[]): string {
  return kvs.map((kv) => name(kv.key)).join(" ");
}

/** `put a=1 … (was a=0 …)`, or `delete a mod 4`. */
export function eventLine(event: Event): string {
  const before = event.prevKv === undefined ? "" : ` (was ${line(event.prevKv)})`;
  const what = event.kind === "put" ? line(event.kv) : `${name(event.kv.key)} mod ${event.kv.modRevision}`;
  return `${event.kind} ${what}${before}`;
}

export function rangeLines(result: RangeResult): object {
  return { ...result, kvs: lines(result.kvs) };
}

/** An operation's result with every key-value as a line. */
export function resultLines(result: OperationResult): unknown {
  switch (result.kind) {
    case "range":
      return { range: rangeLines(result.result) };
    case "put":
      return { put: result.prevKv === undefined ? "nothing before" : line(result.prevKv) };
    case "deleteRange":
      return { deleted: result.deleted, prevKvs: lines(result.prevKvs) };
    case "txn":
      return { txn: result.succeeded, results: result.results.map(resultLines) };
  }
}

export async function keysOf(engine: Engine, range: KeyRange = ALL): Promise<string> {
  return keys((await engine.range(range)).kvs);
}

/** The next message of an iteration; fails where it has ended. */
export async function next(messages: AsyncIterator<WatchMessage>): Promise<WatchMessage> {
  const { value, done } = await messages.next();
  if (done === true) {
    throw new Error("the watch ended");
  }
  return value;
}

/** Reads messages until there are `count` events, and closes the watch. Every revision must come in one message. */
export async function eventsOf(watch: Watch, count: number): Promise<readonly string[]> {
  const events: Event[] = [];
  const revisions: number[] = [];
  const messages = watch[Symbol.asyncIterator]();
  while (events.length < count) {
    const message = await next(messages);
    if (message.kind === "events") {
      events.push(...message.events);
      revisions.push(...new Set(message.events.map(({ kv }) => kv.modRevision)));
      expect(new Set(message.events.map(({ kv }) => kv.modRevision)), "one revision").toEqual(
        new Set([message.revision]),
      );
    }
  }
  watch.close();
  expect(revisions, "each revision in one message, in order").toEqual([...new Set(revisions)].sort((a, b) => a - b));
  return events.map(eventLine);
}

/** The code that a promise rejects with. */
export async function refusal(promise: Promise<unknown>): Promise<ErrorCode> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MusterError) {
      return error.code;
    }
    throw error;
  }
  throw new Error("nothing was refused");
}
