/** Clients that read slowly, little or nothing: what the server keeps for them is bounded, and all comes in the end. */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  data,
  END_STREAM,
  literal,
  MOST_WINDOW,
  open,
  PREFACE,
  ping,
  RawClient,
  Setting,
  settings,
  Type,
  widen,
} from "../../test/support/h2-frames.ts";
import { answers, type CheckedHttp2, OK, serveChecked } from "../../test/support/http2-checked.ts";
import { keptBytes } from "../../test/support/kept-bytes.ts";
import { PATIENTLY } from "../../test/support/until.ts";
import { MAX_UNREAD_BYTES } from "../base/http2-limits.ts";

const FIRST_WINDOW_BYTES = 65_535;
const MB = 1024 * 1024;

/** What is kept for a client that reads nothing: bodies and answers to its frames, and some room for both. */
const MOST_KEPT_BYTES = 4 * MAX_UNREAD_BYTES;

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

async function firstSocket(): Promise<Socket> {
  return vi.waitFor(() => {
    const [socket] = served.sockets;
    if (socket === undefined) throw new Error("no connection yet");
    return socket;
  }, PATIENTLY);
}

describe("Http2Connection: clients that do not read", () => {
  /**
   * Sends it again and again until the server takes no more of it, ends the connection, or all is sent; what it held
   * for the client at most, in bytes.
   */
  async function mostKept(client: RawClient, batches: number, make: (at: number) => Uint8Array): Promise<number> {
    const socket = await firstSocket();
    let most = 0;
    for (let at = 0; at < batches && !client.isClosed; at++) {
      // A server that has stopped reading is as good as one that ends the connection.
      const stuck = sleep(300, "stuck" as const);
      const outcome = await Promise.race([client.sendAll(make(at)), stuck]);
      most = Math.max(most, socket.writableLength);
      if (outcome === "stuck") break;
    }
    return most;
  }

  const pings = Buffer.concat(Array.from({ length: 2_000 }, () => ping()));
  const manySettings = Buffer.concat(Array.from({ length: 100 }, () => settings([Setting.tableSize, 0])));

  test.each([
    ["PINGs", pings, 1_000],
    ["SETTINGS", manySettings, 1_000],
  ] as const)("Http2Connection: answers to %s that nobody reads do not pile up", async (_title, bytes, batches) => {
    using client = new RawClient({ port: served.port, reads: false });
    expect(await mostKept(client, batches, () => bytes)).toBeLessThan(MOST_KEPT_BYTES);
  });

  test("Http2Connection: whole answers that nobody reads do not pile up", async () => {
    const fields = Buffer.concat([OK, literal("x", "y".repeat(1_000))]);
    await using refusing = await serveChecked((stream) => {
      stream.respond(fields, true);
      return {};
    });
    using client = new RawClient({ port: refusing.port, reads: false, first: AS_WIDE_AS_CAN_BE });
    const [socket] = await vi.waitFor(() => {
      if (refusing.sockets.size === 0) throw new Error("no connection yet");
      return [...refusing.sockets];
    }, PATIENTLY);
    let most = 0;
    for (let at = 0; at < 300 && !client.isClosed; at++) {
      const requests = Array.from({ length: 200 }, (_, more) => open(1 + 2 * (200 * at + more), "/", END_STREAM));
      const outcome = await Promise.race([client.sendAll(Buffer.concat(requests)), sleep(300, "stuck" as const)]);
      most = Math.max(most, socket?.writableLength ?? 0);
      if (outcome === "stuck") break;
    }
    expect(most).toBeLessThan(MOST_KEPT_BYTES);
  });

  test("Http2Connection: bodies wait for a client that does not read, however wide its windows are", async () => {
    using client = new RawClient({ port: served.port, reads: false, first: AS_WIDE_AS_CAN_BE });
    const socket = await firstSocket();
    for (let at = 0; at < 200; at++) client.send(open(1 + 2 * at, `/pour/${4 * MB}`, END_STREAM));
    await vi.waitFor(() => expect(served.requests).toBe(200), PATIENTLY);
    for (let round = 0; round < 20; round++) {
      await sleep(5);
      expect(socket.writableLength).toBeLessThan(MOST_KEPT_BYTES);
    }
    expect(served.over).toBe(0);
    client[Symbol.dispose]();
    await vi.waitFor(() => expect(served.over).toBe(200), PATIENTLY);
  });

  test("Http2Connection: one that was not heard any more is heard when it has read what was kept for it", async () => {
    using client = new RawClient({ port: served.port, reads: false });
    const socket = await firstSocket();
    // Until the system takes no more, and the server has more than it keeps for anybody.
    for (let at = 0; at < 2_000 && !socket.isPaused(); at++) {
      if (client.socket.writableLength < MB) client.send(pings);
      await sleep(1);
    }
    expect(socket.isPaused()).toBe(true);
    expect(socket.writableLength).toBeGreaterThan(MAX_UNREAD_BYTES / 2);
    client.read();
    client.send(open(1, "/x", END_STREAM));
    expect((await client.bodyOf(1)).toString()).toBe("/x");
  });

  test("Http2Connection: one that begins to read late gets all of it", async () => {
    using client = new RawClient({ port: served.port, reads: false, first: AS_WIDE_AS_CAN_BE });
    for (const id of [1, 3, 5]) client.send(open(id, `/pour/${3 * MB}`, END_STREAM));
    await vi.waitFor(() => expect(served.requests).toBe(3), PATIENTLY);
    await sleep(20);
    client.read();
    for (const id of [1, 3, 5]) expect(await client.bodyOf(id)).toHaveLength(3 * MB);
  });
});

describe("Http2Connection: pieces by the hundred thousand", () => {
  const MANY = 200_000;

  test("Http2Connection: what a paused call was sent in single bytes is given on at once", async () => {
    const gone: (() => void)[] = [];
    let given = 0;
    let ended = false;
    await using paused = await serveChecked((stream) => {
      stream.pause();
      gone.push(() => stream.resume());
      return {
        onData: ({ length }) => {
          given += length;
        },
        onEnd: () => {
          ended = true;
        },
      };
    });
    using client = new RawClient({ port: paused.port });
    client.send(open(1, "/"));
    const piece = data(1, "x");
    const pieces = Buffer.concat(Array.from({ length: 1_000 }, () => piece));
    const before = keptBytes();
    for (let sent = 0; sent < MANY; sent += 1_000) await client.sendAll(pieces);
    client.send(data(1, "", END_STREAM));
    await client.settle();
    expect(given).toBe(0);
    // 0.2 MB came as bodies, 2 MB with their frames.
    expect(keptBytes() - before).toBeLessThan(16 * MB);
    const cpu = process.cpuUsage();
    for (const go of gone) go();
    await vi.waitFor(() => expect(ended).toBe(true), PATIENTLY);
    expect(given).toBe(MANY);
    expect(process.cpuUsage(cpu).user).toBeLessThan(1_000_000);
  });

  test("Http2Connection: an answer in single bytes that wait for a window is sent on at once", async () => {
    await using wordy = await serveChecked((stream) => {
      stream.respond(OK, false);
      for (let at = 0; at < MANY; at++) stream.write(Buffer.of(at % 256));
      stream.end();
      return {};
    });
    const first = Buffer.concat([PREFACE, settings([Setting.initialWindow, 0]), widen(0, MANY)]);
    using client = new RawClient({ port: wordy.port, first });
    client.send(open(1, "/", END_STREAM));
    await client.settle();
    const cpu = process.cpuUsage();
    client.send(widen(1, MANY));
    const last = await client.next(({ flags, streamId }) => streamId === 1 && (flags & END_STREAM) !== 0, "the end");
    expect(last.type).toBe(Type.data);
    expect(process.cpuUsage(cpu).user).toBeLessThan(2_000_000);
  });
});
