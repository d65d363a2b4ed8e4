/** What a v2 request asks for, read from its method, query and form body as etcd 2.3.8 reads them (v2http/client.go). */
import { type Bytes, NO_BYTES } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import type { Content, Expiry, Precondition, TreePath, WriteCommand } from "../../domain/tree/model.ts";
import type { Revision } from "../../engine/model.ts";
import type { Exchange } from "../face.ts";
import { type Form, readForm } from "./form.ts";

export type V2Request =
  | { readonly kind: "get"; readonly path: TreePath; readonly recursive: boolean; readonly sorted: boolean }
  | {
      readonly kind: "wait";
      readonly path: TreePath;
      readonly recursive: boolean;
      readonly stream: boolean;
      /** 0: none was given. */
      readonly waitIndex: Revision;
    }
  | { readonly kind: "write"; readonly command: WriteCommand };

/** etcd's numbers for what is wrong with a field. */
const CODE = { prevValue: 201, ttl: 202, index: 203, field: 209, refreshValue: 211, refreshTtl: 212 } as const;

const TRUE_WORDS: readonly string[] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE_WORDS: readonly string[] = ["0", "f", "F", "FALSE", "false", "False"];

const MAX_UINT64 = 2n ** 64n - 1n;

/** The end of the year 9999, beyond which the time format of answers (RFC 3339) does not go. */
const LATEST_EXPIRY_MS = 253_402_300_799_999;

interface Fields {
  readonly method: string;
  readonly path: TreePath;
  readonly value: Bytes;
  readonly prevIndex: Revision | bigint;
  readonly waitIndex: Revision | bigint;
  readonly recursive: boolean;
  readonly sorted: boolean;
  readonly wait: boolean;
  readonly quorum: boolean;
  readonly dir: boolean;
  readonly stream: boolean;
  readonly prevValue: Bytes | undefined;
  readonly expiry: Expiry;
  readonly prevExist: boolean | undefined;
  readonly refresh: boolean;
}

/**
 * Reads a request whose path the mount has found (the method must be GET, HEAD, PUT, POST or DELETE): at once where all of
 * its body has arrived.
 * Errors: `invalidField` with details.v2Code and details.cause, `tooLarge`.
 */
export function readV2Request(
  exchange: Exchange,
  path: TreePath,
  { clock }: { readonly clock: Clock },
): V2Request | Promise<V2Request> {
  const method = exchange.request.method ?? "GET";
  const form = readForm(exchange);
  if (form instanceof Promise)
    return form.then((read) => requestOf(readFields(read, { method, path, now: clock.now() })));
  return requestOf(readFields(form, { method, path, now: clock.now() }));
}

function requestOf(fields: Fields): V2Request {
  switch (fields.method) {
    case "PUT":
      return { kind: "write", command: putCommand(fields) };
    case "POST":
      return { kind: "write", command: postCommand(fields) };
    case "DELETE":
      return { kind: "write", command: deleteCommand(fields) };
    default:
      return lookRequest(fields);
  }
}

/** A get without any field, as nodes send it; undefined where there is more to read. */
export function readPlainGet({ request, query }: Exchange, path: TreePath): V2Request | undefined {
  if (query !== "" || (request.method !== "GET" && request.method !== "HEAD")) return undefined;
  return { kind: "get", path, recursive: false, sorted: false };
}

/** The order of the checks decides which of several wrong fields is reported; it is etcd's. */
function readFields(
  form: Form,
  context: { readonly method: string; readonly path: TreePath; readonly now: number },
): Fields {
  const { method, path, now } = context;
  const prevIndex = readIndex(form, "prevIndex");
  const waitIndex = readIndex(form, "waitIndex");
  const recursive = readFlag(form, "recursive");
  const sorted = readFlag(form, "sorted");
  const wait = readFlag(form, "wait");
  const dir = readFlag(form, "dir");
  const quorum = readFlag(form, "quorum");
  const stream = readFlag(form, "stream");
  if (wait && method !== "GET") throw invalid(CODE.field, '"wait" can only be used with GET requests');
  const prevValue = readPrevValue(form);
  const ttl = readTtl(form);
  const prevExist = readOptionalFlag(form, "prevExist");
  const value = form.bytes("value") ?? NO_BYTES;
  const refresh = readRefresh(form, { value, ttl });
  const expiry = expiryOf(ttl, now);
  return {
    method,
    path,
    value,
    prevIndex,
    waitIndex,
    recursive,
    sorted,
    wait,
    quorum,
    dir,
    stream,
    prevValue,
    expiry,
    prevExist,
    refresh,
  };
}

function putCommand(fields: Fields): WriteCommand {
  const { path, expiry, refresh, value, prevExist } = fields;
  const condition = preconditionOf(fields);
  if (prevExist === false) return { kind: "create", path, content: contentOf(fields), expiry };
  if (condition !== undefined) return { kind: "compareAndSwap", path, value, condition, expiry, refresh };
  // An update keeps a node's kind, so that `dir` has no say; a directory takes no value.
  if (prevExist === true) return { kind: "update", path, content: { kind: "file", value }, expiry, refresh };
  return { kind: "set", path, content: contentOf(fields), expiry, refresh };
}

function postCommand(fields: Fields): WriteCommand {
  return { kind: "createInOrder", path: fields.path, content: contentOf(fields), expiry: fields.expiry };
}

function deleteCommand(fields: Fields): WriteCommand {
  const { path, dir, recursive } = fields;
  const condition = preconditionOf(fields);
  if (condition !== undefined) return { kind: "compareAndDelete", path, condition };
  return { kind: "delete", path, directory: dir || recursive, recursive };
}

/** A read by quorum waits for nothing: etcd looks at `quorum` before it looks at `wait`. */
function lookRequest({ path, recursive, sorted, wait, quorum, stream, waitIndex }: Fields): V2Request {
  if (!wait || quorum) return { kind: "get", path, recursive, sorted };
  return { kind: "wait", path, recursive, stream, waitIndex: Number(waitIndex) };
}

function contentOf({ dir, value }: Fields): Content {
  return dir ? { kind: "directory" } : { kind: "file", value };
}

function preconditionOf({ prevValue, prevIndex }: Fields): Precondition | undefined {
  const byIndex = prevIndex === 0 ? {} : { prevIndex };
  const byValue = prevValue === undefined ? {} : { prevValue };
  return prevIndex === 0 && prevValue === undefined ? undefined : { ...byValue, ...byIndex };
}

function readIndex(form: Form, name: string): Revision | bigint {
  const written = form.first(name);
  if (written === undefined) return 0;
  const index = readUint64(written);
  if (index === undefined) throw invalid(CODE.index, `invalid value for "${name}"`);
  return index <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(index) : index;
}

/** A whole number of 64 bits without a sign, as strconv.ParseUint takes it. */
function readUint64(written: string): bigint | undefined {
  if (!/^[0-9]+$/.test(written)) return undefined;
  const number = BigInt(written);
  return number <= MAX_UINT64 ? number : undefined;
}

function readFlag(form: Form, name: string): boolean {
  const written = form.first(name);
  if (written === undefined || FALSE_WORDS.includes(written)) return false;
  if (TRUE_WORDS.includes(written)) return true;
  throw invalid(CODE.field, `invalid value for "${name}"`);
}

/** A flag whose absence means something of its own; etcd's words for a wrong one have no quotes. */
function readOptionalFlag(form: Form, name: string): boolean | undefined {
  const written = form.first(name);
  if (written === undefined) return undefined;
  if (FALSE_WORDS.includes(written)) return false;
  if (TRUE_WORDS.includes(written)) return true;
  throw invalid(CODE.field, `invalid value for ${name}`);
}

function readPrevValue(form: Form): Bytes | undefined {
  const prevValue = form.bytes("prevValue");
  if (prevValue?.length === 0) throw invalid(CODE.prevValue, '"prevValue" cannot be empty');
  return prevValue;
}

/** Seconds to live; an empty field is as none. */
function readTtl(form: Form): bigint | undefined {
  const written = form.first("ttl") ?? "";
  if (written === "") return undefined;
  const ttl = readUint64(written);
  if (ttl === undefined) throw invalid(CODE.ttl, 'invalid value for "ttl"');
  return ttl;
}

function expiryOf(ttl: bigint | undefined, now: number): Expiry {
  if (ttl === undefined) return { kind: "never" };
  return { kind: "at", expires: Math.min(Math.floor(now) + Number(ttl) * 1000, LATEST_EXPIRY_MS) };
}

function readRefresh(form: Form, given: { readonly value: Bytes; readonly ttl: bigint | undefined }): boolean {
  const refresh = readOptionalFlag(form, "refresh") ?? false;
  if (!refresh) return false;
  if (given.value.length > 0) throw invalid(CODE.refreshValue, "A value was provided on a refresh");
  if (given.ttl === undefined) throw invalid(CODE.refreshTtl, "No TTL value set");
  return true;
}

function invalid(v2Code: number, cause: string): MusterError {
  return new MusterError("invalidField", `Correct the request: ${cause}`, { details: { v2Code, cause } });
}
