/** Requests in pieces so small that what is kept for each could be many times what came. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { type GrpcStage, startGrpcStage } from "../../test/support/grpc-stage.ts";
import { data, END_HEADERS, frame, literal, RawClient, request, Type } from "../../test/support/h2-frames.ts";
import { keptBytes } from "../../test/support/kept-bytes.ts";
import { PATIENTLY } from "../../test/support/until.ts";
import { HTTP2_STREAM_WINDOW_BYTES } from "../base/http2-limits.ts";
import { KVDefinition, WatchDefinition } from "../proto/etcdserverpb.ts";
import { definePartOfService, type Service } from "./service.ts";

const CALLS = 200;
const MB = 1024 * 1024;
const FRAME_BYTES = 16_384;
const EMPTY_MESSAGE = Buffer.alloc(5);

let stage: GrpcStage | undefined;
afterEach(async () => {
  await stage?.[Symbol.asyncDispose]();
  stage = undefined;
});

async function connectTo(service: Service): Promise<RawClient> {
  stage = await startGrpcStage([service]);
  return new RawClient({ port: Number(stage.target.split(":").at(-1)) });
}

function call(streamId: number, path: string): Buffer {
  return frame([Type.headers, END_HEADERS, streamId], request(path, literal("content-type", "application/grpc")));
}

describe("ServerCall: requests in small pieces", () => {
  test("ServerCall: messages that come in DATA of a byte each keep hardly more than their bytes", async () => {
    const bytes = 2_000;
    const put = definePartOfService(KVDefinition, { put: () => Promise.reject(new Error("no request is whole")) });
    using client = await connectTo(put);
    const head = Buffer.from([0, 0, 0, 0xff, 0xff]);
    const ids = Array.from({ length: CALLS }, (_, at) => 1 + 2 * at);
    for (const id of ids) client.send(call(id, "/etcdserverpb.KV/Put"), data(id, head));
    await client.settle();
    const before = keptBytes();
    for (const id of ids) {
      const piece = data(id, "x");
      await client.sendAll(Buffer.concat(Array.from({ length: bytes }, () => piece)));
    }
    await client.settle();
    expect(client.frames.filter(({ type }) => type === Type.reset || type === Type.goAway)).toEqual([]);
    client.frames.splice(0);
    expect(keptBytes() - before).toBeLessThan(16 * CALLS * bytes);
  });

  test("ServerCall: empty messages that nobody takes keep hardly more than their bytes", async () => {
    const watch = definePartOfService(WatchDefinition, { watch: () => new Promise(() => undefined) });
    using client = await connectTo(watch);
    const messages = Buffer.alloc(FRAME_BYTES - (FRAME_BYTES % EMPTY_MESSAGE.length));
    await client.settle();
    const before = keptBytes();
    for (let at = 0; at < CALLS; at++) {
      await client.sendAll(Buffer.concat([call(1 + 2 * at, "/etcdserverpb.Watch/Watch"), data(1 + 2 * at, messages)]));
    }
    await client.settle();
    client.frames.splice(0);
    expect(keptBytes() - before).toBeLessThan(4 * CALLS * FRAME_BYTES);
  });

  test("ServerCall: empty messages that nobody takes pause their call, and all come when they are taken", async () => {
    const release = deferred<void>();
    let taken = 0;
    let mostKept = 0;
    const watch = definePartOfService(WatchDefinition, {
      watch: async (requests) => {
        await release.promise;
        const before = keptBytes();
        for await (const _ of requests) {
          taken++;
          // What came while it was paused has been given on.
          if (taken % 10_000 === 0) mostKept = Math.max(mostKept, keptBytes() - before);
        }
      },
    });
    using client = await connectTo(watch);
    const count = Math.floor(HTTP2_STREAM_WINDOW_BYTES / EMPTY_MESSAGE.length);
    const bytes = Buffer.alloc(count * EMPTY_MESSAGE.length);
    client.send(call(1, "/etcdserverpb.Watch/Watch"));
    for (let at = 0; at < bytes.length; at += FRAME_BYTES) client.send(data(1, bytes.subarray(at, at + FRAME_BYTES)));
    await client.settle();
    // Half a window would be given back for what was taken up.
    expect(client.frames.filter(({ type, streamId }) => type === Type.windowUpdate && streamId === 1)).toEqual([]);
    release.resolve();
    await vi.waitFor(() => expect(taken).toBe(count), PATIENTLY);
    expect(mostKept).toBeLessThan(2 * MB);
  });
});
