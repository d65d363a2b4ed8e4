import { connect } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  END_HEADERS,
  END_STREAM,
  literal,
  MOST_WINDOW,
  open,
  PREFACE,
  RawClient,
  Setting,
  settings,
  Type,
  widen,
} from "../../test/support/h2-frames.ts";
import { answers, type CheckedHttp2, OK, pour, serveChecked } from "../../test/support/http2-checked.ts";
import { PATIENTLY } from "../../test/support/until.ts";

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

function dataBytes(client: RawClient, streamId?: number): number {
  let bytes = 0;
  for (const { type, streamId: id, payload } of client.frames) {
    if (type === Type.data && (streamId === undefined || id === streamId)) bytes += payload.length;
  }
  return bytes;
}

/** So many bytes of bodies come, and no more, whatever the server still has to do. */
async function comes(client: RawClient, bytes: number, streamId?: number): Promise<void> {
  await vi.waitFor(() => expect(dataBytes(client, streamId)).toBeGreaterThanOrEqual(bytes), WAITING);
  await client.settle();
  await client.settle();
  expect(dataBytes(client, streamId)).toBe(bytes);
}

describe("Http2Connection: windows of the client", () => {
  test("Http2Connection: nothing of a body is sent before there is a window, and then no more than it takes", async () => {
    const first = Buffer.concat([PREFACE, settings([Setting.initialWindow, 0])]);
    using client = new RawClient({ port: served.port, first });
    let written = 0;
    await using counting = await serveChecked((stream) => {
      stream.respond(OK, false);
      while (stream.write(Buffer.alloc(1_000))) written += 1_000;
      return {};
    });
    using other = new RawClient({ port: counting.port, first });
    for (let at = 0; at < 100; at++) other.send(open(1 + 2 * at, "/", END_STREAM));
    await vi.waitFor(() => expect(counting.requests).toBe(100), PATIENTLY);
    // 64 KiB of each, so that 4,096 keep 256 MiB at most.
    expect(written).toBeLessThan(100 * 64 * 1024);
    expect(dataBytes(other)).toBe(0);

    client.send(open(1, "/pour/100", END_STREAM));
    await comes(client, 0);
    for (let at = 1; at <= 99; at++) {
      client.send(widen(1, 1));
      await comes(client, at, 1);
    }
    client.send(widen(1, 1));
    expect(await client.bodyOf(1)).toEqual(Buffer.alloc(100));
  });

  test("Http2Connection: by WINDOW_UPDATEs of a byte, of the connection too, all comes", async () => {
    const bytes = 70_000;
    const first = Buffer.concat([PREFACE, settings([Setting.initialWindow, bytes])]);
    using client = new RawClient({ port: served.port, first });
    client.send(open(1, `/pour/${bytes}`, END_STREAM));
    await comes(client, FIRST_WINDOW_BYTES);
    for (let at = FIRST_WINDOW_BYTES; at < bytes; at++) client.send(widen(0, 1));
    expect(await client.bodyOf(1)).toHaveLength(bytes);
  });

  test("Http2Connection: a window that settings take below zero sends on when it is above it", async () => {
    using client = new RawClient({ port: served.port });
    const bytes = 200_000;
    client.send(open(1, `/pour/${bytes}`, END_STREAM));
    await comes(client, FIRST_WINDOW_BYTES);
    client.send(widen(0, 2 * bytes), settings([Setting.initialWindow, 1_000]));
    // The window is 1,000 − 65,535 now.
    client.send(widen(1, FIRST_WINDOW_BYTES - 1_000));
    await comes(client, FIRST_WINDOW_BYTES);
    client.send(widen(1, 10));
    await comes(client, FIRST_WINDOW_BYTES + 10);
    client.send(settings([Setting.initialWindow, 1_500]));
    await comes(client, FIRST_WINDOW_BYTES + 510);
    // Shrinks by settings twice, and opens by them at once.
    client.send(settings([Setting.initialWindow, 0], [Setting.initialWindow, 7]), settings([Setting.initialWindow, 1]));
    await comes(client, FIRST_WINDOW_BYTES + 510);
    client.send(settings([Setting.initialWindow, bytes]));
    const body = await client.bodyOf(1);
    expect(body).toHaveLength(bytes);
    // A stream that begins now has the window of now.
    client.send(open(3, "/pour/70000", END_STREAM));
    await comes(client, 70_000, 3);
  });

  test("Http2Connection: frames are as large as the client takes them, and no larger", async () => {
    using client = new RawClient({ port: served.port, first: AS_WIDE_AS_CAN_BE });
    client.send(open(1, `/pour/${MB}`, END_STREAM));
    await vi.waitFor(() => expect(dataBytes(client)).toBe(MB), PATIENTLY);
    expect(Math.max(...client.frames.map(({ payload }) => payload.length))).toBeLessThanOrEqual(16_384);
    client.frames.splice(0);
    await using large = await serveChecked((stream) => pour(stream, 4 * MB, MB));
    const first = Buffer.concat([AS_WIDE_AS_CAN_BE, settings([Setting.frameSize, 20_000])]);
    using other = new RawClient({ port: large.port, first });
    other.send(open(1, "/", END_STREAM));
    await vi.waitFor(() => expect(dataBytes(other)).toBe(4 * MB), PATIENTLY);
    expect(Math.max(...other.frames.map(({ payload }) => payload.length))).toBeLessThanOrEqual(20_000);
    const fields = Buffer.concat([OK, literal("x", "y".repeat(50_000))]);
    await using wordy = await serveChecked((stream) => {
      stream.respond(fields, true);
      return {};
    });
    using reader = new RawClient({ port: wordy.port });
    reader.send(open(1, "/", END_STREAM));
    const isLast = ({ flags, streamId }: { flags: number; streamId: number }) =>
      streamId === 1 && (flags & END_HEADERS) !== 0;
    await vi.waitFor(() => expect(reader.frames.some(isLast)).toBe(true), PATIENTLY);
    const block = reader.frames.filter(({ streamId }) => streamId === 1);
    expect(block.map(({ type }) => type)).toEqual([Type.headers, ...block.slice(1).map(() => Type.continuation)]);
    // The first block of a connection says that no table is kept.
    expect(Buffer.concat(block.map(({ payload }) => payload))).toEqual(Buffer.concat([Buffer.of(0x20), fields]));
    expect(block[0]?.flags).toBe(END_STREAM);
    expect(Math.max(...block.map(({ payload }) => payload.length))).toBeLessThanOrEqual(16_384);
  });

  test("Http2Connection: a large answer keeps no small one waiting", async () => {
    const first = Buffer.concat([AS_WIDE_AS_CAN_BE]);
    using client = new RawClient({ port: served.port, first, reads: false });
    client.send(open(1, `/pour/${16 * MB}`, END_STREAM));
    await vi.waitFor(() => expect(served.requests).toBe(1), PATIENTLY);
    await sleep(10);
    client.send(open(3, "/small", END_STREAM));
    await vi.waitFor(() => expect(served.requests).toBe(2), PATIENTLY);
    client.read();
    expect((await client.bodyOf(3)).toString()).toBe("/small");
    expect(dataBytes(client, 1)).toBeLessThan(8 * MB);
  });
});

describe("Http2Connection: windows of the server", () => {
  test("Http2Connection: bodies that nobody reads leave others room enough", async () => {
    const [unread, bytes] = [200_000, 1_000_000];
    let taken = 0;
    await using reading = await serveChecked((stream) => {
      if (stream.fields[":path"] === "/pause") stream.pause();
      return {
        onData: ({ length }) => {
          taken += length;
        },
      };
    });
    const client = connect(`http://127.0.0.1:${reading.port}`);
    try {
      for (let at = 0; at < 3; at++) {
        const paused = client.request({ ":method": "POST", ":path": "/pause" });
        paused.on("error", () => undefined);
        await new Promise((resolve) => paused.write(Buffer.alloc(unread), resolve));
      }
      const read = client.request({ ":method": "POST", ":path": "/read" });
      read.on("error", () => undefined);
      read.write(Buffer.alloc(bytes));
      await vi.waitFor(() => expect(taken).toBe(bytes), PATIENTLY);
    } finally {
      client.destroy();
    }
  });
});
