import { once } from "node:events";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test, vi } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { callHeaders, type GrpcStage, startGrpcStage } from "../../test/support/grpc-stage.ts";
import { REQUEST_DEADLINE_MS } from "../base/limits.ts";
import {
  KVDefinition,
  MaintenanceDefinition,
  PutRequest,
  type PutResponse,
  type SnapshotRequest,
  SnapshotResponse,
  WatchDefinition,
  WatchRequest,
} from "../proto/etcdserverpb.ts";
import { type Call, EncodedMessage, type StreamCall } from "./call.ts";
import { GrpcError } from "./grpc-error.ts";
import { definePartOfService, type Service } from "./service.ts";
import { Status } from "./status.ts";

const PUT = { service: "etcdserverpb.KV", method: KVDefinition.methods.put };
const SNAPSHOT = { service: "etcdserverpb.Maintenance", method: MaintenanceDefinition.methods.snapshot };
const WATCH = { service: "etcdserverpb.Watch", method: WatchDefinition.methods.watch };

let stage: GrpcStage | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await stage?.[Symbol.asyncDispose]();
  stage = undefined;
});

async function serve(...services: readonly Service[]): Promise<GrpcStage> {
  await stage?.[Symbol.asyncDispose]();
  stage = await startGrpcStage(services);
  return stage;
}

type Put = (request: PutRequest, call: Call) => Promise<PutResponse | EncodedMessage>;
const answered: PutResponse = { header: undefined, prevKv: undefined };
const put = (handle: Put) => definePartOfService(KVDefinition, { put: handle });
const snapshot = (handle: (request: SnapshotRequest, call: StreamCall<SnapshotResponse>) => Promise<void>) =>
  definePartOfService(MaintenanceDefinition, { snapshot: handle });
const piece = (bytes: number) => SnapshotResponse.fromPartial({ blob: Buffer.alloc(bytes, 1) });
const cancelWatch = (id: bigint) =>
  WatchRequest.fromPartial({ requestUnion: { $case: "cancelRequest", value: { watchId: id } } });

describe("GrpcServer: calls that nobody waits for", () => {
  test("Call.signal: it is aborted when the client cancels", async () => {
    const begun = deferred<Call>();
    const { client } = await serve(
      snapshot((_request, call) => {
        begun.resolve(call);
        return new Promise(() => undefined);
      }),
    );
    const call = client.serverStream(SNAPSHOT, {});
    call.on("error", () => undefined);
    const { signal } = await begun.promise;
    const aborted = once(signal, "abort");
    call.cancel();
    await aborted;
    expect(signal.reason).toMatchObject({ code: Status.CANCELLED });
  });

  test("Call.signal: it is aborted when the connection goes, also where it is asked for later", async () => {
    const begun = deferred<Call>();
    const stage = await serve(
      put((_request, call) => {
        begun.resolve(call);
        return new Promise(() => undefined);
      }),
    );
    const session = stage.session();
    const stream = session.request(callHeaders("/etcdserverpb.KV/Put"));
    stream.on("error", () => undefined);
    stream.end(Buffer.alloc(5));
    const call = await begun.promise;
    const { signal } = call;
    session.destroy();
    await once(signal, "abort");
    expect(call.signal.reason).toMatchObject({ code: Status.CANCELLED });
  });

  test("GrpcServer: past its deadline a call is answered DEADLINE_EXCEEDED and its signal aborted", async () => {
    const begun = deferred<Call>();
    const stage = await serve(
      put((_request, call) => {
        begun.resolve(call);
        return new Promise(() => undefined);
      }),
    );
    const over = stage.call([Buffer.alloc(5)], { "grpc-timeout": "500m" });
    const { signal } = await begun.promise;
    const told = await over;
    expect(told).toMatchObject({ ":status": 200, "grpc-status": "4", "grpc-message": "context deadline exceeded" });
    expect(signal.aborted).toBe(true);
  });

  test("GrpcServer: an answer after the deadline goes nowhere and breaks nothing", async () => {
    const release = deferred<void>();
    const { client } = await serve(
      put(async (request) => {
        if (request.key.length > 0) await release.promise;
        return answered;
      }),
    );
    const late = client.unary(
      { ...PUT, options: { deadline: Date.now() + 50 } },
      PutRequest.fromPartial({ key: Buffer.from("late") }),
    );
    await expect(late).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    release.resolve();
    expect(await client.unary(PUT, PutRequest.create())).toEqual(answered);
  });
});

describe("GrpcServer: clients that do not end their request", () => {
  test("GrpcServer: who is answered before that is asked to send no more, and the call is over", async () => {
    const { server, session } = await serve(put(async () => answered));
    const stream = session().request(callHeaders("/etcdserverpb.KV/Put"));
    const trailers = once(stream, "trailers");
    const closed = once(stream, "close");
    stream.resume().write(Buffer.alloc(5));
    expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
    await closed;
    expect({ code: stream.rstCode, open: server.openCalls }).toEqual({ code: 0, open: 0 });
  });

  test("GrpcServer: so is who is refused", async () => {
    const { server, session } = await serve(put(async () => answered));
    const stream = session().request({ ...callHeaders("/etcdserverpb.KV/Put"), "grpc-timeout": "soon" });
    const response = once(stream, "response");
    await once(stream.resume(), "close");
    expect((await response)[0]).toMatchObject({ "grpc-status": "13" });
    expect({ code: stream.rstCode, open: server.openCalls }).toEqual({ code: 0, open: 0 });
  });

  test("GrpcServer: whose message does not come for long is told so, and who waits for an answer is not", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const release = deferred<void>();
    const begun = deferred<void>();
    const handle = () => {
      begun.resolve();
      return release.promise.then(() => answered);
    };
    const { client, session } = await serve(put(handle));
    const waiting = client.unary(PUT, PutRequest.create());
    await begun.promise;
    const stream = session().request(callHeaders("/etcdserverpb.KV/Put"));
    const refused = once(stream.resume(), "response");
    stream.write(Buffer.alloc(3));
    await expect.poll(() => stage?.server.openCalls).toBe(2);
    vi.advanceTimersByTime(2 * REQUEST_DEADLINE_MS);
    expect((await refused)[0]).toMatchObject({ "grpc-status": "1" });
    release.resolve();
    expect(await waiting).toEqual(answered);
  });
});

describe("GrpcServer: streams", () => {
  test("GrpcServer: a server's stream ends when its handler returns, without a message too", async () => {
    const { client } = await serve(
      snapshot(async (_request, call) => {
        for (const bytes of [1, 100_000, 2]) await call.send(piece(bytes));
      }),
    );
    const sizes: number[] = [];
    for await (const { blob } of client.serverStream(SNAPSHOT, {})) sizes.push(blob.length);
    expect(sizes).toEqual([1, 100_000, 2]);
    const { client: other } = await serve(snapshot(async () => undefined));
    for await (const message of other.serverStream(SNAPSHOT, {})) expect(message).toBe("none");
  });

  test("GrpcServer: an error after messages comes behind them", async () => {
    const { client } = await serve(
      snapshot(async (_request, call) => {
        await call.send(piece(3));
        throw new GrpcError(Status.DATA_LOSS, "half");
      }),
    );
    const received: number[] = [];
    const reading = (async () => {
      for await (const { blob } of client.serverStream(SNAPSHOT, {})) received.push(blob.length);
    })();
    await expect(reading).rejects.toMatchObject({ code: status.DATA_LOSS, details: "half" });
    expect(received).toEqual([3]);
  });

  test("StreamCall.send: a client that does not read holds its handler up, and nobody else", async () => {
    let sent = 0;
    const ended = deferred<unknown>();
    const { client, session } = await serve(
      put(async () => answered),
      snapshot(async (_request, call) => {
        try {
          for (; sent < 10_000; sent++) await call.send(piece(16_384));
        } catch (error) {
          ended.resolve(error);
          throw error;
        }
      }),
    );
    const stream = session().request(callHeaders("/etcdserverpb.Maintenance/Snapshot"));
    stream.on("error", () => undefined);
    stream.end(Buffer.alloc(5));
    stream.pause();
    await once(stream, "response");
    let before = -1;
    while (before !== sent) {
      before = sent;
      for (let call = 0; call < 20; call++) expect(await client.unary(PUT, PutRequest.create())).toEqual(answered);
    }
    // The client's window is 64 KiB; what is beyond it is in buffers of the server.
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(64);
    stream.close(8);
    expect(await ended.promise).toMatchObject({ code: Status.CANCELLED });
  });

  test("GrpcServer: requests and answers of a stream go both ways at their own pace, and it ends when both are done", async () => {
    const { client } = await serve(
      definePartOfService(WatchDefinition, {
        watch: async (requests, call) => {
          let ids = 0n;
          for await (const request of requests) {
            if (request.requestUnion?.$case !== "cancelRequest") continue;
            ids += request.requestUnion.value.watchId;
            await call.send(new EncodedMessage([Buffer.from([16, Number(ids)])]));
          }
          await call.send(new EncodedMessage([Buffer.from([16, 99])]));
        },
      }),
    );
    const stream = client.stream(WATCH);
    const received: bigint[] = [];
    const answers = stream[Symbol.asyncIterator]();
    for (const id of [1n, 2n, 3n]) {
      stream.write(cancelWatch(id));
      received.push((await answers.next()).value?.watchId);
    }
    stream.end();
    received.push((await answers.next()).value?.watchId);
    expect((await answers.next()).done).toBe(true);
    expect(received).toEqual([1n, 3n, 6n, 99n]);
  });

  test("GrpcServer: requests that their handler does not take are held back from the client", async () => {
    const release = deferred<void>();
    let taken = 0;
    const { client, session } = await serve(
      put(async () => answered),
      definePartOfService(WatchDefinition, {
        watch: async (requests) => {
          await release.promise;
          for await (const _request of requests) taken++;
        },
      }),
    );
    const stream = session().request(callHeaders("/etcdserverpb.Watch/Watch"));
    // A message of 1,020 bytes: a field that nobody knows.
    const message = Buffer.concat([Buffer.from([0, 0, 0, 3, 0xfc, 0xfa, 0x3f, 0xf8, 0x07]), Buffer.alloc(1_016)]);
    let left = 0;
    for (let at = 0; at < 1_000; at++) stream.write(message, () => left++);
    let before = -1;
    while (before !== left) {
      before = left;
      for (let call = 0; call < 20; call++) await client.unary(PUT, PutRequest.create());
    }
    expect(left).toBeLessThan(1_000);
    release.resolve();
    stream.resume().end();
    await once(stream, "close");
    expect({ left, taken }).toEqual({ left: 1_000, taken: 1_000 });
  });

  test("GrpcServer: a handler that stops iterating can still answer", async () => {
    const { client } = await serve(
      definePartOfService(WatchDefinition, {
        watch: async (requests, call) => {
          for await (const _request of requests) break;
          await call.send(new EncodedMessage([Buffer.from([16, 5])]));
        },
      }),
    );
    const stream = client.stream(WATCH);
    for (let at = 0; at < 200; at++) stream.write(cancelWatch(1n));
    const received: bigint[] = [];
    for await (const { watchId } of stream) received.push(watchId);
    expect(received).toEqual([5n]);
  });

  test("GrpcServer.stop: streams end with UNAVAILABLE, a call under way is answered, a new one is refused", async () => {
    const release = deferred<void>();
    const begun = deferred<void>();
    const { client, server } = await serve(
      put(async () => {
        begun.resolve();
        await release.promise;
        return answered;
      }),
      snapshot(async (_request, call) => {
        await call.send(piece(1));
        await new Promise((_resolve, reject) => {
          call.signal.addEventListener("abort", () => reject(call.signal.reason));
        });
      }),
    );
    const stream = client.serverStream(SNAPSHOT, {});
    await once(stream, "data");
    const underWay = client.unary(PUT, PutRequest.create());
    await begun.promise;
    const ended = once(stream, "error");
    server.stop();
    expect(await ended).toMatchObject([{ code: status.UNAVAILABLE, details: "the server is stopping" }]);
    await expect(client.unary(PUT, PutRequest.create())).rejects.toMatchObject({ code: status.UNAVAILABLE });
    release.resolve();
    expect(await underWay).toEqual(answered);
  });
});
