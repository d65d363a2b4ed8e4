/** What connections and their calls leave behind: nothing, however many there were. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  kept,
  open,
  RawClient,
  request,
  reset,
  Type,
  widen,
} from "../../test/support/h2-frames.ts";
import { answers, type CheckedHttp2, serveChecked } from "../../test/support/http2-checked.ts";
import { keptBytes } from "../../test/support/kept-bytes.ts";
import { PATIENTLY } from "../../test/support/until.ts";

/** Beside what grows by itself, such as compiled code: 5 bytes a call, 50 a connection. */
const MOST_KEPT_BYTES = 512 * 1024;
const BATCH = 500;

/** They take a millisecond each on an idle machine. */
const TIMEOUT_MS = 180_000;

let served: CheckedHttp2;
beforeEach(async () => {
  served = await serveChecked(answers);
});
afterEach(() => served[Symbol.asyncDispose]());

/** Calls of two kinds, each with fields of its own for the table. Few are reset: that is a flood at such a rate. */
function calls(from: number): Buffer {
  const frames: Buffer[] = [];
  for (let at = from; at < from + BATCH; at++) {
    const id = 1 + 2 * at;
    const fields = request(at % 2 === 1 ? "/echo" : "/x", kept("x-id", `call ${at}`));
    if (at % 2 === 0) frames.push(frame([Type.headers, END_HEADERS | END_STREAM, id], fields));
    else frames.push(frame([Type.headers, END_HEADERS, id], fields), data(id, "a body", END_STREAM));
  }
  const last = 1 + 2 * (from + BATCH - 1);
  return Buffer.concat([...frames, open(last + 2, "/wait"), reset(last + 2)]);
}

test("Http2Connection: 100,000 calls on a connection leave nothing in memory", async () => {
  using client = new RawClient({ port: served.port });
  const play = async (batches: number, from: number) => {
    for (let batch = 0; batch < batches; batch++) {
      client.send(calls(from + batch * (BATCH + 1)), widen(0, 16 * BATCH));
      await client.settle();
      client.frames.splice(0);
    }
  };
  await play(40, 0);
  const before = keptBytes();
  await play(200, 40 * (BATCH + 1));
  expect(served.over).toBe(240 * (BATCH + 1));
  expect(keptBytes() - before).toBeLessThan(MOST_KEPT_BYTES);
});

test(
  "Http2Connection: 10,000 connections leave nothing in memory, however they end",
  async () => {
    const play = async (rounds: number) => {
      for (let round = 0; round < rounds; round++)
        await Promise.all(Array.from({ length: 50 }, (_, at) => connectOnce(at)));
      await vi.waitFor(() => expect(served.sockets.size).toBe(0), PATIENTLY);
    };
    // What is made once is there by then.
    await play(100);
    const before = keptBytes();
    await play(200);
    expect(keptBytes() - before).toBeLessThan(MOST_KEPT_BYTES);
  },
  TIMEOUT_MS,
);

/** One answer, half a request, an answer that waits; then the client goes, by one way or another. */
async function connectOnce(at: number): Promise<void> {
  using client = new RawClient({ port: served.port });
  client.send(open(1, "/x", END_STREAM), open(3, "/wait"), data(3, "half"), open(5, "/pour/200000", END_STREAM));
  expect((await client.bodyOf(1)).toString()).toBe("/x");
  if (at % 3 === 0) client.send(frame([Type.goAway, 0, 0], Buffer.alloc(8)), reset(3), reset(5));
  else if (at % 3 === 1) client.send(frame([Type.push, 0, 1]));
  else client.socket.resetAndDestroy();
  await client.closed;
}
