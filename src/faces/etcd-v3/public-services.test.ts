import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { prefixEnd, text, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_PUBLIC_STREAM_WATCHES, V2_BODY_BYTES } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import { type Keyspace, openKeyspace } from "../../domain/keyspace/keyspace.ts";
import { Registry } from "../../domain/registry/registry.ts";
import { TOKEN_RANDOM_BYTES } from "../../domain/registry/token.ts";
import { Tree } from "../../domain/tree/tree.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import { EncodedMessage, type StreamCall } from "../../grpc/call.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import type { Method } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import {
  PutRequest,
  RangeRequest,
  WatchCreateRequest,
  type WatchRequest,
  WatchResponse,
} from "../../proto/etcdserverpb.ts";
import { Headers } from "./header.ts";
import { publicServices } from "./public-services.ts";

const HOUR = 3_600_000;
const UNKNOWN = "f".repeat(32);

let now: number;
let engine: Engine;
let tree: Tree;
let registry: Registry;
let methods: ReadonlyMap<string, Method>;
let reads: number;
const clock: Clock = { now: () => now, monotonic: () => now };

beforeEach(async () => {
  now = 1_700_000_000_000;
  reads = 0;
  let made = 0;
  engine = openMemoryEngine({ clock });
  tree = await Tree.open({ engine, clock, log: silentLog });
  const randomTokenBytes = () => Buffer.alloc(TOKEN_RANDOM_BYTES, ++made);
  registry = Registry.open({
    engine: counting(engine),
    tree,
    clock,
    log: silentLog,
    tokenTtlMs: HOUR,
    randomTokenBytes,
  });
  serve(openKeyspace(engine));
});

/** The registry's reads of the store are counted. */
function counting(store: Engine): Engine {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === "range" || name === "txn") reads++;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function serve(keyspace: Keyspace): void {
  const headers = new Headers({ clusterId: 1n, memberId: 2n });
  const services = publicServices({ headers, registry, keyspace, log: silentLog, maxRequestBytes: V2_BODY_BYTES });
  methods = new Map(services.flatMap((service) => service.methods.map((method) => [method.path, method])));
}

afterEach(async () => {
  await registry.close();
  await tree.close();
  await engine.close();
});

interface PlayedCall extends StreamCall<unknown> {
  readonly sent: unknown[];
  end(): void;
}

function playCall(path: string): PlayedCall {
  const controller = new AbortController();
  const sent: unknown[] = [];
  return {
    path,
    peer: { address: "10.0.0.1", host: "muster:8087", scheme: "http", connection: {} },
    fields: {},
    requestBytes: 0,
    signal: controller.signal,
    sent,
    send: (response) => {
      sent.push(response instanceof EncodedMessage ? WatchResponse.decode(Buffer.concat(response.pieces)) : response);
      return Promise.resolve();
    },
    end: () => controller.abort(new GrpcError(Status.CANCELLED, "gone")),
  };
}

/** Calls a method with a message as a client sent it. */
async function ask(path: string, request: unknown, call: PlayedCall = playCall(path)): Promise<unknown> {
  const method = methods.get(path);
  if (method === undefined) throw new Error(`no method ${path}`);
  return method.handle(request, call);
}

async function code(path: string, request: unknown): Promise<number> {
  try {
    await ask(path, request);
    return Status.OK;
  } catch (error) {
    if (error instanceof GrpcError) return error.code;
    throw error;
  }
}

const RANGE = "/etcdserverpb.KV/Range";
const PUT = "/etcdserverpb.KV/Put";
const WATCH = "/etcdserverpb.Watch/Watch";
const at = (token: string) => `/_etcd/registry/${token}`;

type Part<T> = { readonly [K in keyof T]?: T[K] };

function range(key: string, more: Part<RangeRequest> = {}): RangeRequest {
  return { ...RangeRequest.decode(new Uint8Array()), key: utf8(key), ...more };
}

function members(token: string, more: Part<RangeRequest> = {}): RangeRequest {
  const key = `${at(token)}/members`;
  return range(key, { rangeEnd: prefixEnd(utf8(key)) ?? new Uint8Array(), ...more });
}

function put(key: string, value: string, more: Part<PutRequest> = {}): PutRequest {
  return { ...PutRequest.decode(new Uint8Array()), key: utf8(key), value: utf8(value), ...more };
}

function watch(token: string, more: Part<WatchCreateRequest> = {}): WatchRequest {
  const { key, rangeEnd } = members(token);
  const value = { ...WatchCreateRequest.decode(new Uint8Array()), key, rangeEnd, ...more };
  return { requestUnion: { $case: "createRequest", value } };
}

/** A message with its bytes as text. */
function readable(message: unknown): unknown {
  if (typeof message === "bigint") return String(message);
  if (message instanceof Uint8Array) return text(message);
  if (Array.isArray(message)) return message.map(readable);
  if (typeof message !== "object" || message === null) return message;
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, readable(value)]));
}

async function answer(path: string, request: unknown): Promise<unknown> {
  return readable(await ask(path, request));
}

async function* once(request: WatchRequest): AsyncGenerator<WatchRequest> {
  yield request;
}

describe("gRPC on the public listener", () => {
  it("answers what etcd's discovery asks of a token that is there", async () => {
    const { token } = await registry.createToken(3);
    expect(await answer(RANGE, range(`${at(token)}/_config/size`))).toMatchObject({
      kvs: [{ value: "3" }],
      count: 1,
      more: false,
    });
    expect(await answer(RANGE, members(token))).toMatchObject({ kvs: [], count: 0 });
    const written = await answer(PUT, put(`${at(token)}/members/9e7d`, "one=u"));
    const { revision } = await engine.status();
    expect(written).toMatchObject({ header: { clusterId: "1", memberId: "2", revision } });
    expect(await answer(RANGE, members(token))).toMatchObject({
      header: { revision },
      kvs: [{ key: `${at(token)}/members/9e7d`, value: "one=u", createRevision: revision, version: 1 }],
    });
  });

  it("tells a node that waits of members, over a cancel and a request for progress", async () => {
    const { token, index } = await registry.createToken(3);
    const call = playCall(WATCH);
    const served = ask(WATCH, once(watch(token, { startRevision: index + 1 })), call);
    await ask(PUT, put(`${at(token)}/members/1`, "one=u"));
    await expect.poll(() => call.sent.length).toBe(2);
    expect(call.sent[0]).toMatchObject({ created: true, canceled: false });
    const told = readable(call.sent[1]);
    expect(told).toMatchObject({ events: [{ kv: { key: `${at(token)}/members/1`, value: "one=u" } }] });
    call.end();
    await expect(served).rejects.toMatchObject({ code: Status.CANCELLED });

    async function* requests(): AsyncGenerator<WatchRequest> {
      yield watch(token);
      yield { requestUnion: { $case: "progressRequest", value: {} } };
      yield { requestUnion: { $case: "cancelRequest", value: { watchId: 0n } } };
    }
    const second = playCall(WATCH);
    const ended = ask(WATCH, requests(), second);
    await expect.poll(() => second.sent.some((sent) => Reflect.get(Object(sent), "canceled") === true)).toBe(true);
    second.end();
    await expect(ended).rejects.toMatchObject({ code: Status.CANCELLED });
  });

  it("refuses everything else before the store is read", async () => {
    const { token } = await registry.createToken(3);
    const size = `${at(token)}/_config/size`;
    const member = `${at(token)}/members/9e7d`;
    const refused: readonly (readonly [string, unknown])[] = [
      [RANGE, range("/foo")],
      [RANGE, range(at(token))],
      [RANGE, range(member)],
      [RANGE, range(`${at(token)}/9e7d`)],
      [RANGE, range(`${at(token)}/members`)],
      [RANGE, range(size, { rangeEnd: Uint8Array.of(0) })],
      [RANGE, range(size, { revision: 1 })],
      [RANGE, range(`${at(token)}/_config/size/`)],
      [RANGE, range("/_etcd/registry/", { rangeEnd: utf8("/_etcd/registry0") })],
      [RANGE, range("\0r", { rangeEnd: Uint8Array.of(0) })],
      [RANGE, members(token, { limit: 1 })],
      [RANGE, members(token, { countOnly: true })],
      [RANGE, members(token, { sortOrder: 1 })],
      [RANGE, members(token, { rangeEnd: Uint8Array.of(0) })],
      [PUT, put(size, "5")],
      [PUT, put(`${at(token)}/9e7d`, "one=u")],
      [PUT, put(`${at(token)}/members`, "one=u")],
      [PUT, put(`${at(token)}/members/`, "one=u")],
      [PUT, put(`${at(token)}/members/${"a".repeat(17)}`, "one=u")],
      [PUT, put(`${at(token)}/members/node`, "one=u")],
      [PUT, put(`${at(token)}/members/a/b`, "one=u")],
      [PUT, put(member, "one=u", { lease: 7n })],
      [PUT, put(member, "one=u", { prevKv: true })],
      [PUT, put(member, "", { ignoreValue: true })],
      [PUT, put("/foo", "bar")],
      [WATCH, once(watch(token, { rangeEnd: Uint8Array.of(0) }))],
      [WATCH, once(watch(token, { key: utf8("/foo") }))],
      [WATCH, once(watch(token, { prevKv: true }))],
      [WATCH, once(watch(token, { startRevision: -1 }))],
    ];
    reads = 0;
    for (const [place, [path, request]] of refused.entries()) {
      expect(await code(path, request), `refused ${place}: ${path}`).toBe(Status.PERMISSION_DENIED);
    }
    expect(reads).toBe(0);
  });

  it("says what to do where a whole URL was given as the token, as etcd then asks", async () => {
    const url = "http:/muster:8087/0123";
    for (const [path, request] of [
      [RANGE, range(`${at(url)}/_config/size`)],
      [PUT, put(`${at(url)}/members/9e7d`, "one=u")],
      [WATCH, once(watch("x", { key: utf8(`${at(url)}/members`) }))],
    ] as const) {
      await expect(ask(path, request)).rejects.toMatchObject({
        code: Status.PERMISSION_DENIED,
        message: expect.stringContaining("the token is the last part of the URL"),
      });
    }
    await expect(ask(RANGE, range(at("http")))).rejects.toMatchObject({
      message: expect.stringContaining("discovery only"),
    });
  });

  it("refuses a registration that is larger than --max-request-bytes", async () => {
    const { token } = await registry.createToken(3);
    const call = { ...playCall(PUT), requestBytes: V2_BODY_BYTES };
    await expect(ask(PUT, put(`${at(token)}/members/1`, "one=u"), call)).rejects.toMatchObject({
      code: Status.INVALID_ARGUMENT,
      message: "etcdserver: request is too large",
    });
  });

  it("ends a stream that asks for watch after watch", async () => {
    const { token } = await registry.createToken(3);
    const call = playCall(WATCH);
    async function* requests(): AsyncGenerator<WatchRequest> {
      for (;;) yield watch(token);
    }
    await expect(ask(WATCH, requests(), call)).rejects.toMatchObject({ code: Status.UNAVAILABLE });
    expect(call.sent.length).toBe(MAX_PUBLIC_STREAM_WATCHES);
  });

  it("has no other method", () => {
    expect([...methods.keys()].sort()).toEqual([PUT, RANGE, WATCH].sort());
  });

  it("refuses a token that is not there, or whose time is over", async () => {
    const { token } = await registry.createToken(3);
    now += HOUR;
    for (const missing of [UNKNOWN, token]) {
      expect(await code(RANGE, range(`${at(missing)}/_config/size`))).toBe(Status.PERMISSION_DENIED);
      expect(await code(RANGE, members(missing))).toBe(Status.PERMISSION_DENIED);
      expect(await code(PUT, put(`${at(missing)}/members/1`, "one=u"))).toBe(Status.PERMISSION_DENIED);
      expect((await engine.range({ key: utf8(`${at(missing)}/1`) })).kvs).toEqual([]);
    }
    const waits = [UNKNOWN, token].map((missing) => code(WATCH, once(watch(missing))));
    expect(await Promise.all(waits)).toEqual([Status.PERMISSION_DENIED, Status.PERMISSION_DENIED]);
  });

  it("refuses to change another's entry once the token has been complete", async () => {
    const { token } = await registry.createToken(1);
    await ask(PUT, put(`${at(token)}/members/1`, "one=u"));
    expect(await code(PUT, put(`${at(token)}/members/1`, "mine=u"))).toBe(Status.PERMISSION_DENIED);
    expect(await code(PUT, put(`${at(token)}/members/1`, "one=u"))).toBe(Status.OK);
    expect(await answer(RANGE, members(token))).toMatchObject({ kvs: [{ value: "one=u", version: 1 }] });
  });

  it("says UNAVAILABLE, which etcd tries again, when the store fails", async () => {
    const { token } = await registry.createToken(1);
    const failing = () => Promise.reject(new MusterError("storeUnavailable", "Make room: the disk is full"));
    serve(new Proxy(openKeyspace(engine), { get: () => failing }));
    expect(await code(RANGE, members(token))).toBe(Status.UNAVAILABLE);
    await engine.close();
    expect(await code(PUT, put(`${at(token)}/members/1`, "one=u"))).toBe(Status.UNAVAILABLE);
    expect(await code(WATCH, once(watch(token)))).toBe(Status.UNAVAILABLE);
  });
});
