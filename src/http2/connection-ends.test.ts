import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  ACK,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  literal,
  MOST_WINDOW,
  open,
  PREFACE,
  ping,
  RawClient,
  request,
  reset,
  Setting,
  settings,
  Type,
  widen,
} from "../../test/support/h2-frames.ts";
import { answers, type CheckedHttp2, OK, serveChecked } from "../../test/support/http2-checked.ts";
import { keptBytes } from "../../test/support/kept-bytes.ts";
import { PATIENTLY } from "../../test/support/until.ts";
import { HTTP2_LAST_WORDS_MS, MAX_STREAMS_PER_CONNECTION } from "../base/http2-limits.ts";
import { ErrorCode, type ServerStream } from "./server-stream.ts";

const FIRST_WINDOW_BYTES = 65_535;
const MB = 1024 * 1024;
const WAITING = { ...PATIENTLY, interval: 2 };

const AS_WIDE_AS_CAN_BE = Buffer.concat([
  PREFACE,
  settings([Setting.initialWindow, MOST_WINDOW]),
  widen(0, MOST_WINDOW - FIRST_WINDOW_BYTES),
]);

let served: CheckedHttp2;
beforeEach(async () => {
  served = await serveChecked(answers);
});
afterEach(async () => {
  // Whatever was done to it: others are served.
  using other = new RawClient({ port: served.port });
  other.send(open(1, "/alive", END_STREAM));
  expect((await other.bodyOf(1)).toString()).toBe("/alive");
  await served[Symbol.asyncDispose]();
});

describe("Http2Connection: how connections end", () => {
  test("Http2Connection: a client that says GOAWAY gets its answers, and then the end", async () => {
    using client = new RawClient({ port: served.port });
    client.send(open(1, "/echo"), frame([Type.goAway, 0, 0], Buffer.alloc(8)));
    await client.settle();
    client.send(data(1, "whole", END_STREAM));
    expect((await client.bodyOf(1)).toString()).toBe("whole");
    await client.closed;
  });

  test("Http2Connection: a connection that is closed answers what has begun, and takes no more", async () => {
    using client = new RawClient({ port: served.port });
    client.send(open(1, "/echo"));
    await client.settle();
    for (const connection of served.connections) connection.close();
    expect(await client.goAway()).toBe(ErrorCode.NO_ERROR);
    client.send(open(3, "/late", END_STREAM));
    expect(await client.resetOf(3)).toBe(ErrorCode.REFUSED_STREAM);
    client.send(data(1, "whole", END_STREAM));
    expect((await client.bodyOf(1)).toString()).toBe("whole");
    await client.closed;
    expect(served.requests).toBe(1);
  });

  test.each(["half-closed", "cut"])(
    "Http2Connection: calls of a connection that is %s are told that they are over",
    async (how) => {
      using client = new RawClient({ port: served.port });
      for (let at = 0; at < 50; at++) client.send(open(1 + 2 * at, "/wait"));
      await client.settle();
      if (how === "cut") client.socket.resetAndDestroy();
      else client.socket.end();
      await client.closed;
      await vi.waitFor(
        () => expect({ over: served.over, open: served.sockets.size }).toEqual({ over: 50, open: 0 }),
        PATIENTLY,
      );
    },
  );

  test("Http2Connection: what comes of a call that was answered early is passed over, its trailers too", async () => {
    await using early = await serveChecked((stream) => {
      stream.respond(OK, stream.fields[":path"] === "/early");
      return { onEnd: () => stream.end() };
    });
    using client = new RawClient({ port: early.port });
    client.send(open(1, "/early"), open(3, "/other"));
    expect(await client.resetOf(1)).toBe(ErrorCode.NO_ERROR);
    // On their way when the server ended it.
    client.send(data(1, Buffer.alloc(10_000)), frame([Type.windowUpdate, 0, 1], Buffer.of(0, 0, 0, 9)));
    client.send(frame([Type.headers, END_HEADERS | END_STREAM, 1], literal("a", "b")), reset(1));
    client.send(data(3, "", END_STREAM));
    expect(await client.bodyOf(3)).toHaveLength(0);
    client.send(open(5, "/early", END_STREAM));
    await client.settle();
    expect(client.frames.filter(({ type }) => type === Type.goAway)).toEqual([]);
    // It was told once that the call is over, and is not told again.
    expect(client.frames.filter(({ type, streamId }) => type === Type.reset && streamId === 1)).toEqual([]);
  });

  const lateData = (id: number) => data(id, "late");
  const lateTrailers = (id: number) => frame([Type.headers, END_HEADERS | END_STREAM, id], literal("a", "b"));
  test.each([
    ["DATA", [lateData]],
    ["trailers", [lateTrailers]],
    ["DATA and then trailers", [lateData, lateTrailers]],
  ] as const)(
    "Http2Connection: %s of as many calls as there may be, all answered early, end nothing",
    async (_title, rounds) => {
      await using early = await serveChecked((stream) => {
        stream.respond(OK, true);
        return {};
      });
      using client = new RawClient({ port: early.port });
      const ids = Array.from({ length: MAX_STREAMS_PER_CONNECTION }, (_, at) => 1 + 2 * at);
      const last = 1 + 2 * ids.length;
      await client.sendAll(Buffer.concat(ids.map((id) => open(id, "/early"))));
      await client.settle();
      expect(client.frames.filter(({ type }) => type === Type.reset)).toHaveLength(ids.length);
      client.frames.splice(0);
      // On their way when the server ended the calls.
      for (const make of rounds) await client.sendAll(Buffer.concat(ids.map(make)));
      client.send(open(last, "/early", END_STREAM));
      expect(await client.bodyOf(last)).toHaveLength(0);
      expect(client.frames.filter(({ type }) => type === Type.goAway)).toEqual([]);
    },
  );

  test("Http2Connection: no GOAWAY names a later call than the first one did", async () => {
    using client = new RawClient({ port: served.port });
    client.send(open(1, "/wait"));
    await client.settle();
    for (const connection of served.connections) connection.close();
    const isGoAway = ({ type }: { readonly type: number }) => type === Type.goAway;
    const first = await client.next(isGoAway, "GOAWAY");
    expect(first.payload.readUInt32BE(0)).toBe(1);
    client.send(open(3, "/late", END_STREAM));
    expect(await client.resetOf(3)).toBe(ErrorCode.REFUSED_STREAM);
    client.send(frame([Type.windowUpdate, 0, 0], Buffer.alloc(4)));
    const second = await client.next(isGoAway, "another GOAWAY");
    expect(second.payload.readUInt32BE(4)).toBe(ErrorCode.PROTOCOL_ERROR);
    expect(second.payload.readUInt32BE(0)).toBe(1);
    await client.closed;
  });

  test(
    "Http2Connection: a client that stays after the end is cut off, whether or not it says something",
    async () => {
      using idle = new RawClient({ port: served.port, stays: true });
      using busy = new RawClient({ port: served.port, stays: true });
      await idle.settle();
      await busy.settle();
      const talk = setInterval(() => busy.send(ping()), HTTP2_LAST_WORDS_MS / 10);
      try {
        for (const connection of served.connections) connection.close();
        for (const client of [idle, busy]) expect(await client.goAway()).toBe(ErrorCode.NO_ERROR);
        const longer = { ...PATIENTLY, timeout: 3 * HTTP2_LAST_WORDS_MS };
        await vi.waitFor(() => expect(served.sockets.size).toBe(0), longer);
      } finally {
        clearInterval(talk);
      }
    },
    6 * HTTP2_LAST_WORDS_MS,
  );

  test("Http2Connection: an acknowledgement of nothing, and settings without any, are taken", async () => {
    using client = new RawClient({ port: served.port });
    client.send(frame([Type.settings, ACK, 0]), settings(), frame([Type.ping, ACK, 0], Buffer.alloc(8)));
    client.send(frame([Type.headers, END_HEADERS | END_STREAM, 1], request("/x")));
    expect((await client.bodyOf(1)).toString()).toBe("/x");
  });

  test("Http2Connection: answers that were given are sent before the end, however slowly they are read", async () => {
    const fields = Buffer.concat([OK, literal("x", "y".repeat(1_000))]);
    await using refusing = await serveChecked((stream) => {
      stream.respond(fields, true);
      return {};
    });
    using client = new RawClient({ port: refusing.port, reads: false, first: AS_WIDE_AS_CAN_BE });
    let count = 0;
    // Until the system takes no more, so that the rest waits in the server.
    const waits = () => [...refusing.sockets].some(({ writableLength }) => writableLength > 64 * 1024);
    while (!waits() && count < 50_000) {
      const requests = Array.from({ length: 50 }, (_, at) => open(1 + 2 * (count + at), "/", END_STREAM));
      await client.sendAll(Buffer.concat(requests));
      count += requests.length;
      await vi.waitFor(() => expect(refusing.requests).toBe(count), WAITING);
    }
    expect(waits()).toBe(true);
    client.send(frame([Type.goAway, 0, 0], Buffer.alloc(8)));
    await sleep(HTTP2_LAST_WORDS_MS / 3);
    client.read();
    await client.closed;
    expect(client.frames.filter(({ type }) => type === Type.headers)).toHaveLength(count);
  });

  test("Http2Connection: a client that never reads is given up some time after the end", async () => {
    using client = new RawClient({ port: served.port, reads: false, first: AS_WIDE_AS_CAN_BE });
    for (let at = 0; at < 20; at++) client.send(open(1 + 2 * at, `/pour/${8 * MB}`, END_STREAM));
    await vi.waitFor(() => expect(served.requests).toBe(20), PATIENTLY);
    client.send(frame([0x01, END_HEADERS, 2]));
    await vi.waitFor(() => expect(served.over).toBe(20), PATIENTLY);
    await vi.waitFor(() => expect(served.sockets.size).toBe(0), PATIENTLY);
  });

  test("Http2Connection: who was told to wait is told when it need not, whatever it wrote meanwhile", async () => {
    let drains = 0;
    const streams: ServerStream[] = [];
    await using writing = await serveChecked((stream) => {
      streams.push(stream);
      stream.respond(OK, false);
      return { onDrain: () => drains++ };
    });
    const first = Buffer.concat([PREFACE, settings([Setting.initialWindow, 0])]);
    using client = new RawClient({ port: writing.port, first });
    client.send(open(1, "/", END_STREAM));
    await vi.waitFor(() => expect(streams).toHaveLength(1), PATIENTLY);
    const [stream] = streams;
    expect(stream?.write(Buffer.alloc(20_000))).toBe(false);
    expect(stream?.write(Buffer.alloc(0))).toBe(false);
    client.send(widen(1, 19_000));
    await client.settle();
    await client.settle();
    // Less is waiting now than keeps anybody from writing.
    stream?.write(Buffer.alloc(10));
    client.send(widen(1, 10_000));
    await vi.waitFor(() => expect(drains).toBe(1), PATIENTLY);
  });

  test("Http2Connection: who is told that it is over is told nothing more, even if both come at once", async () => {
    using client = new RawClient({ port: served.port });
    client.send(settings([Setting.initialWindow, MB]));
    for (const id of [1, 3, 5]) client.send(open(id, `/pour/${MB / 4}`, END_STREAM));
    await client.settle();
    // The connection's window was closed. What it opens for may be drained by it.
    client.send(widen(0, MB), reset(1), reset(3), reset(5));
    await client.settle();
    expect(served.over).toBe(3);
  });

  test("Http2Connection: of calls that were reset before their answers could be sent nothing is kept", async () => {
    const count = 5_000;
    using client = new RawClient({ port: served.port });
    // From here on the connection's window is closed.
    client.send(open(1, "/pour/100000", END_STREAM));
    await client.settle();
    const before = keptBytes();
    for (let at = 1; at <= count; at++)
      client.send(open(1 + 2 * at, "/waits-for-a-window", END_STREAM), reset(1 + 2 * at));
    await client.settle();
    expect(served.over).toBe(count);
    client.frames.splice(0);
    expect(keptBytes() - before).toBeLessThan(count * 100);
  });
});
