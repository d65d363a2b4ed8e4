/** Frames that no client may send, and whose end each of them is: the connection's or its call's. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ACK,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  literal,
  MOST_WINDOW,
  number,
  open,
  PADDED,
  PREFACE,
  padded,
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
import { HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_RESET_BURST, HTTP2_STREAM_WINDOW_BYTES } from "../base/http2-limits.ts";
import { ErrorCode, type ServerStream } from "./server-stream.ts";

/** Beyond those that a test uses. */
const LATER_ID = 100_001;

let served: CheckedHttp2;
let client: RawClient;
beforeEach(async () => {
  served = await serveChecked(answers);
  client = new RawClient({ port: served.port });
});
afterEach(async () => {
  client[Symbol.dispose]();
  // Whatever was done to it: others are served.
  using other = new RawClient({ port: served.port });
  other.send(open(1, "/alive", END_STREAM));
  expect((await other.bodyOf(1)).toString()).toBe("/alive");
  await served[Symbol.asyncDispose]();
});

function streamId(at: number): number {
  return 1 + 2 * at;
}

describe("Http2Connection: rules of frames", () => {
  const whole = Buffer.concat([PREFACE, settings()]);
  const withHead = (...frames: readonly Uint8Array[]) => Buffer.concat([whole, ...frames]);
  const BROKEN: readonly (readonly [title: string, bytes: Uint8Array, code: number])[] = [
    ["another preface", Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"), ErrorCode.PROTOCOL_ERROR],
    ["no SETTINGS at first", Buffer.concat([PREFACE, ping()]), ErrorCode.PROTOCOL_ERROR],
    [
      "an ACK as the only SETTINGS",
      Buffer.concat([PREFACE, frame([Type.settings, ACK, 0]), ping()]),
      ErrorCode.PROTOCOL_ERROR,
    ],
    ["a frame that is too long", withHead(data(1, Buffer.alloc(16_385))), ErrorCode.FRAME_SIZE_ERROR],
    [
      "a head of one that is too long",
      withHead(Buffer.of(0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1)),
      ErrorCode.FRAME_SIZE_ERROR,
    ],
    ["SETTINGS of 5 bytes", withHead(frame([Type.settings, 0, 0], Buffer.alloc(5))), ErrorCode.FRAME_SIZE_ERROR],
    [
      "SETTINGS with a MAX_FRAME_SIZE too small",
      withHead(settings([Setting.frameSize, 16_383])),
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "SETTINGS with a MAX_FRAME_SIZE too large",
      withHead(settings([Setting.frameSize, 2 ** 24])),
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "SETTINGS with a window too large",
      withHead(settings([Setting.initialWindow, 2 ** 31])),
      ErrorCode.FLOW_CONTROL_ERROR,
    ],
    ["SETTINGS with ENABLE_PUSH 2", withHead(settings([Setting.push, 2])), ErrorCode.PROTOCOL_ERROR],
    ["a window of the connection beyond all bounds", withHead(widen(0, MOST_WINDOW)), ErrorCode.FLOW_CONTROL_ERROR],
    [
      "SETTINGS that take a call's window beyond all bounds",
      withHead(open(1, "/wait"), widen(1, MOST_WINDOW - 65_535), settings([Setting.initialWindow, 65_536])),
      ErrorCode.FLOW_CONTROL_ERROR,
    ],
    ["a connection's window widened by nothing", withHead(widen(0, 0)), ErrorCode.PROTOCOL_ERROR],
    ["PUSH_PROMISE", withHead(frame([Type.push, END_HEADERS, 1], number(2))), ErrorCode.PROTOCOL_ERROR],
    ["an even ID", withHead(open(2, "/x")), ErrorCode.PROTOCOL_ERROR],
    ["an ID lower than before", withHead(open(5, "/wait"), open(3, "/wait")), ErrorCode.PROTOCOL_ERROR],
    ["DATA of a call that was not opened", withHead(data(1, "x")), ErrorCode.PROTOCOL_ERROR],
    ["RST_STREAM of a call that was not opened", withHead(reset(1)), ErrorCode.PROTOCOL_ERROR],
    ["WINDOW_UPDATE of a call that was not opened", withHead(widen(1, 1)), ErrorCode.PROTOCOL_ERROR],
    ["CONTINUATION of nothing", withHead(frame([Type.continuation, END_HEADERS, 1])), ErrorCode.PROTOCOL_ERROR],
    [
      "something between fields",
      withHead(frame([Type.headers, 0, 1], request("/x")), ping()),
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "unknown frames between fields",
      withHead(frame([Type.headers, 0, 1], request("/x")), frame([0x42, 0, 1])),
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "CONTINUATION of another call",
      withHead(frame([Type.headers, 0, 1], request("/x")), frame([Type.continuation, END_HEADERS, 3])),
      ErrorCode.PROTOCOL_ERROR,
    ],
    ["padding as long as DATA", withHead(open(1, "/echo"), data(1, Buffer.of(1), PADDED)), ErrorCode.PROTOCOL_ERROR],
    [
      "padding longer than DATA",
      withHead(open(1, "/echo"), data(1, Buffer.of(9, 1), PADDED)),
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "padding longer than fields",
      withHead(frame([Type.headers, END_HEADERS | PADDED, 1], Buffer.concat([Buffer.of(255), request("/x")]))),
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "fields that are no HPACK",
      withHead(frame([Type.headers, END_HEADERS, 1], Buffer.of(0x80))),
      ErrorCode.COMPRESSION_ERROR,
    ],
    [
      "a table larger than allowed",
      withHead(frame([Type.headers, END_HEADERS, 1], Buffer.of(0x3f, 0xe2, 0x1f))),
      ErrorCode.COMPRESSION_ERROR,
    ],
  ];

  test.each(BROKEN)("Http2Connection: %s ends the connection with the right code", async (_title, bytes, code) => {
    using broken = new RawClient({ port: served.port, first: bytes });
    expect(await broken.goAway()).toBe(code);
    await broken.closed;
    expect(served.over).toBe(served.requests);
  });

  const SPOILED: readonly (readonly [title: string, frames: readonly Uint8Array[], code: number])[] = [
    ["a window beyond all bounds", [open(1, "/wait"), widen(1, MOST_WINDOW)], ErrorCode.FLOW_CONTROL_ERROR],
    ["a window widened by nothing", [open(1, "/wait"), widen(1, 0)], ErrorCode.PROTOCOL_ERROR],
    [
      "more than its length says",
      [frame([Type.headers, END_HEADERS, 1], request("/echo", literal("content-length", "2"))), data(1, "abc")],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "less than its length says",
      [
        frame([Type.headers, END_HEADERS, 1], request("/wait", literal("content-length", "2"))),
        data(1, "a", END_STREAM),
      ],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "a length and no body",
      [frame([Type.headers, END_HEADERS | END_STREAM, 1], request("/wait", literal("content-length", "2")))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "two lengths",
      [
        frame(
          [Type.headers, END_HEADERS, 1],
          request("/wait", literal("content-length", "2"), literal("content-length", "3")),
        ),
      ],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "a line break in a field",
      [frame([Type.headers, END_HEADERS, 1], request("/x", literal("a", "b\r\nc: d")))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "a byte 0 in a field",
      [frame([Type.headers, END_HEADERS, 1], request("/x", literal("a", "\0")))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "an empty name",
      [frame([Type.headers, END_HEADERS, 1], request("/x", literal("", "b")))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "a blank in a name",
      [frame([Type.headers, END_HEADERS, 1], request("/x", literal("a b", "c")))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "transfer-encoding",
      [frame([Type.headers, END_HEADERS, 1], request("/x", literal("transfer-encoding", "chunked")))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "two paths",
      [frame([Type.headers, END_HEADERS, 1], request("/x", literal(":path", "/y")))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    ["no fields at all", [frame([Type.headers, END_HEADERS | END_STREAM, 1])], ErrorCode.PROTOCOL_ERROR],
    [
      "trailers that end nothing",
      [open(1, "/wait"), frame([Type.headers, END_HEADERS, 1], literal("a", "b"))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    [
      "a pseudo-field in trailers",
      [open(1, "/wait"), frame([Type.headers, END_HEADERS | END_STREAM, 1], literal(":path", "/b"))],
      ErrorCode.PROTOCOL_ERROR,
    ],
    ["DATA behind its end", [open(1, "/wait", END_STREAM), data(1, "x")], ErrorCode.STREAM_CLOSED],
  ];

  test.each(SPOILED)("Http2Connection: %s ends the call, and no other", async (_title, frames, code) => {
    client.send(...frames);
    const told = await client.next(({ type }) => type === Type.reset || type === Type.goAway, "RST_STREAM or GOAWAY");
    expect(told.payload.readUInt32BE(told.type === Type.reset ? 0 : 4)).toBe(code);
    expect(served.over).toBe(served.requests);
    // A connection may be ended for it too (5.4.1), but not without need.
    expect(told.type).toBe(Type.reset);
    client.send(open(3, "/next", END_STREAM));
    expect((await client.bodyOf(3)).toString()).toBe("/next");
  });

  test("Http2Connection: DATA beyond a call's window, which nobody reads, ends the call", async () => {
    using one = new RawClient({ port: served.port });
    one.send(open(1, "/pause"));
    for (let at = 0; at < HTTP2_STREAM_WINDOW_BYTES; at += 16_384) one.send(data(1, Buffer.alloc(16_384)));
    await one.settle();
    expect(one.frames.filter(({ type }) => type === Type.reset || type === Type.goAway)).toEqual([]);
    one.send(data(1, "x"));
    expect(await one.resetOf(1)).toBe(ErrorCode.FLOW_CONTROL_ERROR);
    one.send(open(3, "/next", END_STREAM));
    expect((await one.bodyOf(3)).toString()).toBe("/next");
  });

  test("Http2Connection: DATA beyond the connection's window ends the connection", async () => {
    await using paused = await serveChecked((stream) => {
      stream.pause();
      return {};
    });
    using one = new RawClient({ port: paused.port });
    const streams = HTTP2_CONNECTION_WINDOW_BYTES / HTTP2_STREAM_WINDOW_BYTES + 1;
    for (let at = 0; at < streams; at++) {
      one.send(open(streamId(at), "/x"));
      for (let sent = 0; sent < HTTP2_STREAM_WINDOW_BYTES; sent += 16_384) {
        one.send(data(streamId(at), Buffer.alloc(16_384)));
      }
    }
    expect(await one.goAway()).toBe(ErrorCode.FLOW_CONTROL_ERROR);
    await one.closed;
    expect(paused.over).toBe(paused.requests);
  });

  const block = Buffer.alloc(16_384);
  test.each([
    ["calls that nobody read, when they are reset", (id: number) => [open(id, "/pause"), data(id, block), reset(id)]],
    ["calls that are over", (id: number) => [open(id, "/wait"), reset(id), data(id, block)]],
    [
      "bodies that are longer than they say",
      (id: number) => [
        frame([Type.headers, END_HEADERS, id], request("/wait", literal("content-length", "1"))),
        data(id, block),
      ],
    ],
    ["padding", (id: number) => [open(id, "/pause"), data(id, padded(Buffer.alloc(0), 255), PADDED), reset(id)]],
  ] as const)("Http2Connection: the connection's window is given back for %s", async (_title, make) => {
    const size = make(1).find((bytes) => bytes[3] === Type.data)?.length ?? 0;
    const count = (4 * HTTP2_CONNECTION_WINDOW_BYTES) / size;
    for (let at = 0; at < count && at < HTTP2_RESET_BURST / 2; at++) {
      client.send(...make(streamId(at)));
      if (at % 32 === 31) await client.settle();
    }
    client.send(open(LATER_ID, "/next", END_STREAM));
    expect((await client.bodyOf(LATER_ID)).toString()).toBe("/next");
  });

  test.each([
    ["answered", (stream: ServerStream) => stream.respond(OK, true)],
    ["reset", (stream: ServerStream) => stream.reset(ErrorCode.CANCEL)],
  ])(
    "Http2Connection: the connection's window is given back for calls that are %s when a piece comes",
    async (_title, end) => {
      await using ending = await serveChecked((stream) => ({ onData: () => end(stream) }));
      using one = new RawClient({ port: ending.port });
      const count = (4 * HTTP2_CONNECTION_WINDOW_BYTES) / block.length;
      for (let at = 0; at < count; at++) {
        one.send(open(streamId(at), "/"), data(streamId(at), block));
        await one.resetOf(streamId(at));
      }
      expect(ending.over).toBe(count);
    },
  );
});
