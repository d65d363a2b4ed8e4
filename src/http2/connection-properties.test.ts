/** Whatever valid clients do, in whatever pieces it comes: what is echoed comes back, byte by byte. */
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  data,
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  literal,
  open,
  PADDED,
  PREFACE,
  padded,
  ping,
  RawClient,
  request,
  settings,
  Type,
} from "../../test/support/h2-frames.ts";
import { answers, type CheckedHttp2, OK, serveChecked } from "../../test/support/http2-checked.ts";
import { randomPrograms } from "../../test/support/random-programs.ts";
import { testTls } from "../../test/support/tls/test-tls.ts";
import type { ServerStream } from "./server-stream.ts";

const random = randomPrograms({ programs: 25, programTimeoutMs: 20_000, averageMs: 1_000 });

let served: CheckedHttp2;
let encrypted: CheckedHttp2;
beforeAll(async () => {
  served = await serveChecked(answers);
  encrypted = await serveChecked(answers, { withTls: true });
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await encrypted[Symbol.asyncDispose]();
});

/** What a client does with one call. */
const call = fc.record({
  /** Sizes of the pieces of its body, in bytes. */
  pieces: fc.array(fc.oneof(fc.nat(100), fc.nat(5_000), fc.nat(100_000)), { maxLength: 12 }),
  /** Pauses before the pieces with such numbers, in ms. */
  pauses: fc.uniqueArray(fc.nat(11), { maxLength: 3 }),
  beginsAfterMs: fc.nat(10),
  /** Whether it does not read for a while, in ms. */
  readsAfterMs: fc.oneof(fc.constant(0), fc.nat(30)),
  /** After how many bytes of the answer it resets the call, if it does. */
  resetsAfter: fc.option(fc.nat(50_000), { freq: 4 }),
});
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

const TABLE_SIZES = [0, 100, 2_048, 4_096, 65_536];

const session = fc.record({
  window: fc.oneof(fc.constant(65_535), fc.constantFrom(1, 100, 1_000_000), fc.integer({ min: 1, max: 70_000 })),
  frameSize: fc.constantFrom(16_384, 16_385, 100_000),
  /** How large a table the client lets the server have for the fields of its answers, in bytes. */
  tableSize: fc.constantFrom(4_096, ...TABLE_SIZES),
  /** What that is changed to while the calls are under way, if it is. */
  laterTableSize: fc.option(fc.constantFrom(...TABLE_SIZES)),
  /** What the window is set to while the calls are under way, if it is. */
  laterWindow: fc.option(fc.integer({ min: 1, max: 300_000 })),
  withTls: fc.boolean(),
  calls: fc.array(call, { minLength: 1, maxLength: 12 }),
});

describe("Http2Connection: clients of node:http2", () => {
  test(
    `Http2Connection: bodies are echoed to node:http2, however it sends and reads (seed ${random.seed})`,
    async () => {
      const property = fc.asyncProperty(session, async (one) => {
        const { window, frameSize, laterWindow, tableSize, laterTableSize, withTls, calls } = one;
        const { port } = withTls ? encrypted : served;
        // A window of a byte is for small bodies: each byte of theirs is a frame, and one of the other side.
        const most = window < 1_000 && laterWindow === null ? 2_000 : Number.POSITIVE_INFINITY;
        const client = connect(`${withTls ? "https" : "http"}://localhost:${port}`, {
          ca: testTls.cert,
          lookup: (_host, _options, answer) => answer(null, [{ address: "127.0.0.1", family: 4 }]),
          settings: { initialWindowSize: window, maxFrameSize: frameSize, headerTableSize: tableSize },
        });
        let later: NodeJS.Timeout | undefined;
        try {
          await once(client, "connect");
          later = setTimeout(() => {
            if (laterWindow !== null) client.settings({ initialWindowSize: laterWindow });
            if (laterTableSize !== null) client.settings({ headerTableSize: laterTableSize });
          }, 5);
          await Promise.all(calls.map((one) => play(client, one, most)));
        } finally {
          clearTimeout(later);
          client.destroy();
        }
      });
      await random.assert(property);
    },
    random.timeoutMs,
  );

  test.each(TABLE_SIZES)(
    "Http2Connection: a client that has a table of %i bytes for answers reads them, at first and later",
    async (headerTableSize) => {
      const of = { pauses: [], beginsAfterMs: 0, readsAfterMs: 0, resetsAfter: null };
      for (const first of [true, false]) {
        const client = connect(`http://127.0.0.1:${served.port}`, { settings: first ? { headerTableSize } : {} });
        try {
          await once(client, "connect");
          if (!first) {
            await play(client, { ...of, pieces: [10] }, 100);
            client.settings({ headerTableSize });
          }
          for (let at = 0; at < 3; at++) await play(client, { ...of, pieces: [10] }, 100);
          // Less and more again, so that the least of them is to be told as well.
          client.settings({ headerTableSize: 0 });
          client.settings({ headerTableSize: 1_000 });
          await play(client, { ...of, pieces: [10] }, 100);
          await play(client, { ...of, pieces: [10] }, 100);
        } finally {
          client.destroy();
        }
      }
    },
  );

  async function play(client: ClientHttp2Session, one: Call, most: number): Promise<void> {
    await sleep(one.beginsAfterMs);
    const body = bodyOf(one.pieces, most);
    const stream = client.request({ ":method": "POST", ":path": "/echo" });
    const came: Buffer[] = [];
    let bytes = 0;
    const closed = new Promise<void>((resolve, reject) => {
      stream.once("close", resolve);
      stream.once("error", reject);
    });
    const read = () =>
      stream.on("data", (piece: Buffer) => {
        came.push(piece);
        bytes += piece.length;
        if (one.resetsAfter !== null && bytes >= one.resetsAfter) stream.close(constants.NGHTTP2_CANCEL);
      });
    if (one.readsAfterMs === 0) read();
    else setTimeout(read, one.readsAfterMs);
    await write(stream, one, body);
    await closed;
    const answer = Buffer.concat(came);
    if (one.resetsAfter === null) expect(answer.equals(body)).toBe(true);
    else expect(answer.equals(body.subarray(0, answer.length))).toBe(true);
  }

  async function write(stream: ClientHttp2Stream, { pieces, pauses }: Call, body: Buffer): Promise<void> {
    let from = 0;
    for (const [at, length] of pieces.entries()) {
      if (pauses.includes(at)) await sleep(2);
      if (stream.closed || stream.destroyed) return;
      stream.write(body.subarray(from, from + length));
      from += length;
    }
    stream.end();
  }

  /** Bytes that tell where they are. */
  function bodyOf(pieces: readonly number[], most: number): Buffer {
    const length = Math.min(
      pieces.reduce((sum, bytes) => sum + bytes, 0),
      most,
    );
    const body = Buffer.alloc(length);
    for (let at = 0; at + 4 <= length; at += 4) body.writeUInt32BE((at * 2_654_435_761) % 2 ** 32, at);
    return body;
  }
});

describe("Http2Connection: pieces", () => {
  /** What came on each stream, whole: fields, body, and how it ended. */
  function told(frames: readonly Frame[]): Record<number, string> {
    const streams: Record<number, string> = {};
    for (const { type, flags, streamId, payload } of frames) {
      if (type !== Type.headers && type !== Type.data && type !== Type.reset && type !== Type.goAway) continue;
      const shown = type === Type.data ? payload.toString("latin1") : `[${type}:${payload.toString("hex")}]`;
      streams[streamId] = `${streams[streamId] ?? ""}${shown}${type < 2 && (flags & END_STREAM) !== 0 ? "$" : ""}`;
    }
    return streams;
  }

  /** Sends the bytes cut into pieces at these places, each by a write of its own, and gives all that comes. */
  async function replay(bytes: Buffer, cuts: readonly number[], port: number): Promise<Record<number, string>> {
    using client = new RawClient({ port, first: Buffer.alloc(0) });
    const places = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((one, other) => one - other);
    let from = 0;
    for (const to of [...places, bytes.length]) {
      if (to > from) client.send(bytes.subarray(from, to));
      from = to;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.settle();
    // What its windows let come has come when a second question is answered.
    await client.settle();
    return told(client.frames);
  }

  /** Answers gRPC calls with their own request; `/interop.Fail/Now` at once, without a message. */
  function grpcEcho(stream: ServerStream) {
    const grpc = literal("content-type", "application/grpc");
    const status = literal("grpc-status", "0");
    if (stream.fields[":path"]?.includes("Fail") === true) {
      stream.respond(Buffer.concat([OK, grpc, literal("grpc-status", "5")]), true);
      return {};
    }
    const came: Buffer[] = [];
    return {
      onData: (piece: Buffer) => void came.push(Buffer.from(piece)),
      onEnd: () => {
        stream.respond(Buffer.concat([OK, grpc]), false);
        stream.write(Buffer.concat(came));
        stream.end(status);
      },
    };
  }

  /** What grpc-js sends for some calls of all kinds. */
  async function recorded(port: number): Promise<Buffer> {
    const sent: Buffer[] = [];
    const sockets: Socket[] = [];
    const relay = createServer((near) => {
      const far = connectTcp(port, "127.0.0.1");
      sockets.push(near, far);
      near.on("data", (piece: Buffer) => void sent.push(piece));
      near.pipe(far).pipe(near);
    });
    await once(relay.listen(0, "127.0.0.1"), "listening");
    const bound = relay.address();
    const client = new Client(
      `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`,
      credentials.createInsecure(),
    );
    try {
      for (const [path, size] of [
        ["/interop.Echo/Say", 10],
        ["/interop.Echo/Say", 50_000],
        ["/interop.Fail/Now", 3],
        ["/interop.Echo/Say", 0],
      ] as const) {
        await new Promise<void>((resolve, reject) => {
          const request = Buffer.alloc(size, path.length);
          const onAnswer = (error: ServiceError | null, answer?: Buffer) => {
            if (error !== null && error.code !== 5) reject(error);
            else if (error === null && answer?.equals(request) !== true) reject(new Error("another answer"));
            else resolve();
          };
          const same = (bytes: Buffer) => bytes;
          client.makeUnaryRequest(path, same, same, request, onAnswer);
        });
      }
    } finally {
      client.close();
      for (const socket of sockets) socket.destroy();
      relay.close();
    }
    return Buffer.concat(sent);
  }

  test(
    `Http2Connection: what grpc-js sends is answered alike, however it is cut (seed ${random.seed})`,
    async () => {
      await using echoing = await serveChecked(grpcEcho);
      const bytes = await recorded(echoing.port);
      const whole = await replay(bytes, [], echoing.port);
      expect(Object.keys(whole)).toEqual(["1", "3", "5", "7"]);
      const property = fc.asyncProperty(fc.array(fc.nat(), { maxLength: 40 }), async (cuts) => {
        expect(await replay(bytes, cuts, echoing.port)).toEqual(whole);
      });
      await random.assert(property);
    },
    random.timeoutMs,
  );

  const small = Buffer.concat([
    PREFACE,
    settings([1, 100], [4, 70_000]),
    open(1, "/echo"),
    data(1, "hello"),
    ping(),
    frame([Type.headers, 0, 3], request("/echo").subarray(0, 10)),
    frame([Type.continuation, 0, 3], request("/echo").subarray(10, 12)),
    frame([Type.continuation, END_HEADERS, 3], request("/echo").subarray(12)),
    data(3, padded(Buffer.from("padded"), 9), PADDED),
    data(1, "", END_STREAM),
    frame([0x42, 0, 3], Buffer.from("unknown")),
    frame([Type.headers, END_HEADERS | END_STREAM, 3], literal("x-trailer", "of the request")),
  ]);

  test("Http2Connection: a session cut in two at any place is answered alike, and one byte by byte", async () => {
    const whole = await replay(small, [], served.port);
    expect(whole[1]).toContain("hello");
    expect(whole[3]).toContain("padded");
    for (let cut = 1; cut < small.length; cut++) expect(await replay(small, [cut], served.port)).toEqual(whole);
    const all = Array.from({ length: small.length }, (_, at) => at);
    expect(await replay(small, all, served.port)).toEqual(whole);
    expect(await replay(small, all, served.port)).toEqual(whole);
  });

  test("Http2Connection: padding of all sizes, of bodies and of fields, is cut off", async () => {
    using client = new RawClient({ port: served.port });
    for (let padding = 0; padding < 256; padding++) {
      const id = 1 + 2 * padding;
      client.send(
        frame([Type.headers, END_HEADERS | PADDED, id], padded(request("/echo"), padding)),
        data(id, padded(Buffer.from(`body ${padding}`), padding), PADDED),
        data(id, padded(Buffer.alloc(0), padding), PADDED | END_STREAM),
      );
      expect((await client.bodyOf(id)).toString()).toBe(`body ${padding}`);
    }
  });

  test("Http2Connection: a body that is mostly padding does not use up its windows", async () => {
    using client = new RawClient({ port: served.port });
    client.send(open(1, "/echo"));
    const piece = Buffer.concat(Array.from({ length: 100 }, () => data(1, padded(Buffer.from("x"), 255), PADDED)));
    // 2.5 MB of padding; the answer is small enough for the client's windows.
    for (let at = 0; at < 100; at++) {
      client.send(piece);
      await client.settle();
    }
    client.send(data(1, "", END_STREAM));
    expect((await client.bodyOf(1)).length).toBe(10_000);
  });
});
