import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type Keyspace, openKeyspace } from "../../src/domain/keyspace/keyspace.ts";
import type { Engine, Watch } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import type { WatchMessage } from "../../src/engine/model.ts";
import { Headers } from "../../src/faces/etcd-v3/header.ts";
import { watchService } from "../../src/faces/etcd-v3/watch-service.ts";
import { FrameReader } from "../../src/grpc/frame-reader.ts";
import { WatchCreateRequest, WatchRequest, WatchResponse } from "../../src/proto/etcdserverpb.ts";
import { type GrpcServed, serveGrpc } from "../support/grpc-served.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { V3Client } from "../support/v3-client.ts";

const VALUE_BYTES = 1_000_000;
const PUTS = 200;
const AT_ONCE = 8;
const SLOW_CLIENTS = 10;
/** What the server may take for a watch whose client does not read: a response that it sends, and another in its turn. */
const MOST_TAKEN_BYTES = 4 * 1024 * 1024;
const TIMEOUT_MS = 180_000;

/** Watches served from a store in this process, and what they take. */
interface Counted extends AsyncDisposable {
  readonly engine: Engine;
  readonly served: GrpcServed;
  /** The bytes of values that were taken from each watch of the engine, in the order in which they were made. */
  readonly taken: number[];
}

async function startCounted(): Promise<Counted> {
  const directory = await mkdtemp(join(tmpdir(), "muster-slow-reader-"));
  const engine = await openLmdbEngine({ directory, clock: systemClock });
  const taken: number[] = [];
  const keyspace = openKeyspace(engine);
  const counting = { status: () => keyspace.status(), watch: counted(keyspace, taken) };
  const headers = new Headers({ clusterId: 1n, memberId: 2n });
  const served = await serveGrpc([watchService({ keyspaceFor: () => counting, headers })]);
  return {
    engine,
    served,
    taken,
    [Symbol.asyncDispose]: async () => {
      await served[Symbol.asyncDispose]();
      await engine.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Watches that count what is taken of them: all that the server keeps for a client beyond the engine's own queue. */
function counted(keyspace: Keyspace, taken: number[]): Keyspace["watch"] {
  return (request) => {
    const watch = keyspace.watch(request);
    const place = taken.push(0) - 1;
    const count = (message: WatchMessage | undefined) => {
      for (const { kv } of message?.kind === "events" ? message.events : []) {
        taken[place] = (taken[place] ?? 0) + kv.value.length;
      }
      return message;
    };
    return {
      createdRevision: watch.createdRevision,
      requestProgress: () => watch.requestProgress(),
      close: () => watch.close(),
      ready: () => count(watch.ready?.()),
      async *[Symbol.asyncIterator]() {
        for await (const message of watch) {
          count(message);
          yield message;
        }
      },
    } satisfies Watch;
  };
}

/** Puts much, each in a revision of its own. */
async function putMuch(put: (key: Uint8Array, value: Uint8Array) => Promise<unknown>): Promise<void> {
  const value = new Uint8Array(VALUE_BYTES);
  for (let first = 0; first < PUTS; first += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => put(utf8(`slow${first + at}`), value)));
  }
}

/** A stream with a watch of everything, by a client that reads nothing but headers until it is told to. */
async function open(session: ClientHttp2Session): Promise<ClientHttp2Stream> {
  const stream = session.request({
    ":method": "POST",
    ":path": "/etcdserverpb.Watch/Watch",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  const value = WatchCreateRequest.fromPartial({ key: utf8("slow"), rangeEnd: utf8("slox") });
  const message = WatchRequest.encode({ requestUnion: { $case: "createRequest", value } }).finish();
  stream.write(Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]));
  await once(stream, "response");
  return stream;
}

/** Reads until all events have come; gives their revisions. */
function readAll(stream: ClientHttp2Stream): Promise<readonly number[]> {
  const frames = new FrameReader({ maxMessageBytes: Number.MAX_SAFE_INTEGER });
  const revisions: number[] = [];
  return new Promise((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      frames.push(chunk);
      for (let message = frames.next(); message !== undefined; message = frames.next()) {
        for (const { kv } of WatchResponse.decode(message).events) {
          if (kv?.value.length === VALUE_BYTES) revisions.push(kv.modRevision);
        }
      }
      if (revisions.length >= PUTS) resolve(revisions);
    });
  });
}

/** A TCP connection of its own. */
function connected(address: string): ClientHttp2Session & Disposable {
  const session = connect(`http://${address}`);
  session.on("error", () => {});
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

it("a client that does not read has the server keep a few messages, is in nobody's way, and misses nothing", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using counted = await startCounted();
  const { engine, served, taken } = counted;
  using slowSession = connected(served.address);
  using session = connected(served.address);
  const slow = await open(slowSession);
  const all = readAll(await open(session));
  const { revision } = await engine.status();
  await putMuch((key, value) =>
    engine.txn({ compares: [], success: [{ kind: "put", request: { key, value } }], failure: [] }),
  );
  const expected = Array.from({ length: PUTS }, (_, at) => revision + 1 + at);
  expect(await all).toEqual(expected);
  expect(taken[1]).toBe(PUTS * VALUE_BYTES);
  expect(taken[0]).toBeGreaterThan(0);
  expect(taken[0]).toBeLessThan(MOST_TAKEN_BYTES);
  expect(await readAll(slow)).toEqual(expected);
});

/** What a process keeps in memory of its own: the pages of the store's file are not. */
async function ownBytes(pid: number | undefined): Promise<number> {
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

it.skipIf(process.platform !== "linux")(
  "clients that do not read cost the program little of what they are owed",
  {
    timeout: TIMEOUT_MS,
  },
  async () => {
    await using muster = await MusterProcess.start();
    const { host } = new URL(muster.clientUrl);
    const sessions = Array.from({ length: SLOW_CLIENTS }, () => connected(host));
    using client = new V3Client(host);
    try {
      await Promise.all(sessions.map(open));
      const before = await ownBytes(muster.pid);
      await putMuch(async (key, value) => {
        const outcome = await client.call("KV/Put", { key, value });
        if (!outcome.ok) throw new Error(`a put failed: ${outcome.details}`);
      });
      const grown = (await ownBytes(muster.pid)) - before;
      console.info(`grown by ${Math.round(grown / 1e6)} MB, owed ${(SLOW_CLIENTS * PUTS * VALUE_BYTES) / 1e6} MB`);
      expect(grown).toBeLessThan((SLOW_CLIENTS * PUTS * VALUE_BYTES) / 4);
    } finally {
      for (const session of sessions) session.destroy();
    }
  },
);
