/** What a client can do to the server by frames alone, and what must come of it: its own end, and nobody else's. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ACK,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  kept,
  literal,
  open,
  RawClient,
  request,
  reset,
  Setting,
  settings,
  Type,
  widen,
} from "../../test/support/h2-frames.ts";
import { answers, type CheckedHttp2, serveChecked } from "../../test/support/http2-checked.ts";
import {
  HTTP2_RESET_BURST,
  HTTP2_RESETS_PER_SECOND,
  MAX_FIELD_BLOCK_BYTES,
  MAX_FIELD_FRAMES,
  MAX_STREAMS_PER_CONNECTION,
} from "../base/http2-limits.ts";
import { MAX_HEADER_BYTES } from "../base/limits.ts";
import { ErrorCode } from "./server-stream.ts";

/** Far more than anybody is let do at once, even if it takes some seconds. */
const FAR_TOO_OFTEN = 3 * HTTP2_RESET_BURST + 20 * HTTP2_RESETS_PER_SECOND;
const BATCH = 500;
const MANY = 100_000;

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

/** Sends so many of them, in batches, until the server has had enough. */
async function flood(count: number, make: (at: number) => Uint8Array): Promise<void> {
  for (let at = 0; at < count && !client.isClosed; at += BATCH) {
    await client.sendAll(Buffer.concat(Array.from({ length: BATCH }, (_, more) => make(at + more))));
  }
}

function streamId(at: number): number {
  return 1 + 2 * at;
}

describe("Http2Connection: floods", () => {
  test("Http2Connection: a client that opens calls only to reset them is told to be calm", async () => {
    await flood(FAR_TOO_OFTEN, (at) => Buffer.concat([open(streamId(at), "/wait"), reset(streamId(at))]));
    expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    await client.closed;
    expect(served.requests).toBeLessThan(FAR_TOO_OFTEN);
    expect(served.over).toBe(served.requests);
  });

  test("Http2Connection: half as many resets as it may send are no flood", async () => {
    const count = HTTP2_RESET_BURST / 2;
    await flood(count, (at) => Buffer.concat([open(streamId(at), "/wait"), reset(streamId(at))]));
    client.send(open(streamId(count), "/x", END_STREAM));
    expect((await client.bodyOf(streamId(count))).toString()).toBe("/x");
    expect(served.over).toBe(count + 1);
  });

  test("Http2Connection: a client that has the server reset calls, by breaking rules, is told to be calm", async () => {
    await flood(FAR_TOO_OFTEN, (at) => Buffer.concat([open(streamId(at), "/wait"), widen(streamId(at), 0)]));
    expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    await client.closed;
    expect(served.over).toBe(served.requests);
  });

  test("Http2Connection: malformed requests without end are not taken without end", async () => {
    const fields = Buffer.concat([request("/x"), literal("Capital", "x")]);
    await flood(FAR_TOO_OFTEN, (at) => frame([Type.headers, END_HEADERS | END_STREAM, streamId(at)], fields));
    expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    await client.closed;
    expect(served.requests).toBe(0);
  });

  test.each([
    ["full", 16_384, MAX_FIELD_BLOCK_BYTES / 16_384 + 1],
    ["empty", 0, MAX_FIELD_FRAMES + 1],
    ["small", 1, MAX_FIELD_FRAMES + 1],
  ])("Http2Connection: fields that go on for ever in %s frames end the connection", async (_title, bytes, count) => {
    client.send(frame([Type.headers, 0, 1], request("/x")));
    for (let at = 0; at < count; at++) client.send(frame([Type.continuation, 0, 1], Buffer.alloc(bytes)));
    expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    await client.closed;
    expect(served.requests).toBe(0);
  });

  test("Http2Connection: a few bytes that stand for many fields of 4 KiB are not unpacked", async () => {
    const large = kept("x", "y".repeat(3_900));
    client.send(frame([Type.headers, END_HEADERS | END_STREAM, 1], request("/first", large)));
    expect((await client.bodyOf(1)).toString()).toBe("/first");
    const bomb = request("/bomb", Buffer.alloc(16_000, 0x80 | 62));
    const before = process.memoryUsage().heapUsed;
    // 64 MB of fields each, as it would stand in memory.
    for (let at = 1; at <= 50; at++) client.send(frame([Type.headers, END_HEADERS | END_STREAM, streamId(at)], bomb));
    for (let at = 1; at <= 50; at++) await client.resetOf(streamId(at)).catch(() => client.closed);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
    expect(served.requests).toBe(1);
  });

  test("Http2Connection: fields beyond the limit end the call, and both sides still have the same table", async () => {
    const large = literal("x", "y".repeat(3_000));
    const many = Array.from({ length: 1 + Math.floor(MAX_HEADER_BYTES / 3_000) }, () => large);
    const block = request("/large", ...many, kept("x-kept", "z"));
    client.send(frame([Type.headers, END_STREAM, 1], block.subarray(0, 16_384)));
    for (let at = 16_384; at < block.length; at += 16_384) {
      const isLast = at + 16_384 >= block.length;
      client.send(frame([Type.continuation, isLast ? END_HEADERS : 0, 1], block.subarray(at, at + 16_384)));
    }
    client.send(frame([Type.headers, END_HEADERS | END_STREAM, 3], request("/next", Buffer.of(0x80 | 62))));
    await client.next(({ type, streamId: id }) => id === 1 && (type === Type.reset || type === Type.headers), "an end");
    expect((await client.bodyOf(3)).toString()).toBe("/next");
    expect(served.requests).toBe(1);
  });

  const broken = [
    ["DATA behind their end", (id: number) => [open(id, "/wait", END_STREAM), data(id, "x")]],
    [
      "more DATA than they say",
      (id: number) => [
        frame([Type.headers, END_HEADERS, id], request("/wait", literal("content-length", "1"))),
        data(id, "xy"),
      ],
    ],
    [
      "less DATA than they say",
      (id: number) => [
        frame([Type.headers, END_HEADERS, id], request("/wait", literal("content-length", "2"))),
        data(id, "x", END_STREAM),
      ],
    ],
    [
      "trailers that end nothing",
      (id: number) => [open(id, "/wait"), frame([Type.headers, END_HEADERS, id], literal("a", "b"))],
    ],
    [
      "pseudo-fields in trailers",
      (id: number) => [open(id, "/wait"), frame([Type.headers, END_HEADERS | END_STREAM, id], literal(":path", "/b"))],
    ],
  ] as const;
  test.each(broken)(
    "Http2Connection: a client that has the server reset calls, by %s, is told to be calm",
    async (_title, make) => {
      await flood(FAR_TOO_OFTEN, (at) => Buffer.concat(make(streamId(at))));
      expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
      await client.closed;
      expect(served.requests).toBeGreaterThan(HTTP2_RESET_BURST);
      expect(served.over).toBe(served.requests);
    },
  );

  test("Http2Connection: a client that sends SETTINGS without end, and reads, is told to be calm", async () => {
    await flood(FAR_TOO_OFTEN, () => settings());
    expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    await client.closed;
  });

  describe("SETTINGS while as many calls are open as there may be", () => {
    const COUNT = 5_000;
    beforeEach(async () => {
      await flood(MAX_STREAMS_PER_CONNECTION, (at) =>
        at < MAX_STREAMS_PER_CONNECTION ? open(streamId(at), "/wait") : Buffer.alloc(0),
      );
      await client.settle();
      expect(served.requests).toBe(MAX_STREAMS_PER_CONNECTION);
      client.frames.splice(0);
    });

    test("Http2Connection: those that change the windows of all again and again are too many before long", async () => {
      await flood(COUNT, (at) => settings([Setting.initialWindow, at % 2]));
      expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
      await client.closed;
    });

    test("Http2Connection: a few that change windows, and many that do not, are taken", async () => {
      for (let at = 0; at < 20; at++) client.send(settings([Setting.initialWindow, 65_535 + (at % 2)]));
      await flood(COUNT, () => settings([Setting.initialWindow, 65_536]));
      client.send(reset(1), open(LATER_ID, "/x", END_STREAM));
      expect((await client.bodyOf(LATER_ID)).toString()).toBe("/x");
    });
  });

  test("Http2Connection: empty DATA by the hundred thousand ends the connection", async () => {
    client.send(open(1, "/echo"));
    using other = new RawClient({ port: served.port });
    const flooded = flood(MANY, () => data(1, ""));
    other.send(open(1, "/alive", END_STREAM));
    expect((await other.bodyOf(1)).toString()).toBe("/alive");
    await flooded;
    expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    await client.closed;
  });

  test.each([
    ["PRIORITY", frame([Type.priority, 0, 3], Buffer.alloc(5))],
    ["frames of no known type", frame([0x42, 0xff, 3], Buffer.alloc(5))],
    ["WINDOW_UPDATE of a byte", widen(0, 1)],
  ])("Http2Connection: %s by the hundred thousand keeps nobody from being served", async (_title, bytes) => {
    const flooded = flood(MANY, () => bytes);
    using other = new RawClient({ port: served.port });
    other.send(open(1, "/alive", END_STREAM));
    expect((await other.bodyOf(1)).toString()).toBe("/alive");
    await flooded;
    if (client.isClosed) expect(await client.goAway()).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    else await client.settle();
  });

  test("Http2Connection: more calls than there may be are refused, one by one, and the others go on", async () => {
    const extra = 20;
    await client.next(({ type }) => type === Type.settings, "SETTINGS");
    client.send(frame([Type.settings, ACK, 0]));
    const count = MAX_STREAMS_PER_CONNECTION + extra;
    for (let at = 0; at < count; at++) client.send(open(streamId(at), "/echo"));
    for (let at = MAX_STREAMS_PER_CONNECTION; at < count; at++) {
      expect(await client.resetOf(streamId(at))).toBe(ErrorCode.REFUSED_STREAM);
    }
    expect(served.requests).toBe(MAX_STREAMS_PER_CONNECTION);
    client.send(data(1, "one", END_STREAM), data(streamId(4_000), "other", END_STREAM));
    client.frames.splice(0);
    expect((await client.bodyOf(streamId(4_000))).toString()).toBe("other");
    // There is a place again.
    client.send(open(streamId(count), "/x", END_STREAM));
    expect((await client.bodyOf(streamId(count))).toString()).toBe("/x");
  });
});
