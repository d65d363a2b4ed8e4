import { once } from "node:events";
import { gunzipSync, gzipSync } from "node:zlib";
import { compressionAlgorithms, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { GrpcClient } from "../../test/support/grpc-client.ts";
import { callHeaders, type GrpcStage, STAGE_MAX_MESSAGE_BYTES, startGrpcStage } from "../../test/support/grpc-stage.ts";
import { KVDefinition, PutRequest, PutResponse, WatchDefinition, WatchRequest } from "../proto/etcdserverpb.ts";
import { EncodedMessage } from "./call.ts";
import { unpacked } from "./compression.ts";
import { FrameReader } from "./frame-reader.ts";
import { definePartOfService, type Service } from "./service.ts";

const PUT = { service: "etcdserverpb.KV", method: KVDefinition.methods.put };
const WATCH = { service: "etcdserverpb.Watch", method: WatchDefinition.methods.watch };
const PATH = "/etcdserverpb.KV/Put";
const IN_GZIP = { "grpc-encoding": "gzip" };

let stage: GrpcStage | undefined;
let calls = 0;
afterEach(async () => {
  await stage?.[Symbol.asyncDispose]();
  stage = undefined;
});

async function serve(...services: readonly Service[]): Promise<GrpcStage> {
  calls = 0;
  stage = await startGrpcStage(services);
  return stage;
}

/** Answers a put with the value that was put, and the size of the request as revision. */
const echo = definePartOfService(KVDefinition, {
  put: async ({ key, value }, { requestBytes }) => {
    calls++;
    const prevKv = { key, value, createRevision: 1, modRevision: 1, version: 1, lease: 0n };
    return { header: { clusterId: 1n, memberId: 1n, revision: requestBytes, raftTerm: 1 }, prevKv };
  },
});

function frame(message: Uint8Array, flag = 1): Buffer {
  const header = Buffer.alloc(5, flag);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function put(value: Uint8Array): Buffer {
  return PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from("k"), value })).finish();
}

/** The headers and the one message of a put that is sent as `request`. */
async function answerTo(request: Uint8Array, headers: Readonly<Record<string, string>>) {
  if (stage === undefined) throw new Error("serve before you call");
  const stream = stage.session().request({ ...callHeaders(PATH), ...headers });
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.end(request);
  const [told] = await once(stream, "response");
  await once(stream, "close");
  const reader = new FrameReader({ maxMessageBytes: 2 ** 30, takesCompressed: true });
  reader.push(Buffer.concat(chunks));
  const message = reader.next() ?? Buffer.alloc(0);
  const response = PutResponse.decode(reader.isCompressed ? gunzipSync(message) : message);
  return { encoding: told["grpc-encoding"], isCompressed: reader.isCompressed, response };
}

describe("gzip", () => {
  test.each([10, 10_000, 1_000_000])("grpc-js: a value of %d bytes goes both ways in gzip", async (bytes) => {
    const { target } = await serve(echo);
    using client = new GrpcClient(target, { "grpc.default_compression_algorithm": compressionAlgorithms.gzip });
    const value = Buffer.alloc(bytes, "v");
    const response = await client.unary(PUT, PutRequest.fromPartial({ key: Buffer.from("k"), value }));
    expect(Buffer.compare(response.prevKv?.value ?? Buffer.alloc(0), value)).toBe(0);
    expect(response.header?.revision).toBe(put(value).length);
  });

  test("a request in gzip is answered in gzip, as etcd does, where its client can read that", async () => {
    await serve(echo);
    const request = frame(gzipSync(put(Buffer.alloc(3_000, "v"))));
    const told = { encoding: "gzip", isCompressed: true };
    expect(await answerTo(request, IN_GZIP)).toMatchObject(told);
    expect(await answerTo(request, { ...IN_GZIP, "grpc-accept-encoding": "identity, gzip" })).toMatchObject(told);
    const plain = await answerTo(request, { ...IN_GZIP, "grpc-accept-encoding": "identity,deflate" });
    expect(plain).toMatchObject({ encoding: undefined, isCompressed: false });
    expect(plain.response.prevKv?.value).toHaveLength(3_000);
  });

  test("a message that is not compressed may come in a call that says gzip; one of two members is one", async () => {
    await serve(echo);
    const message = put(Buffer.from("value"));
    expect((await answerTo(frame(message, 0), IN_GZIP)).isCompressed).toBe(true);
    const members = Buffer.concat([gzipSync(message.subarray(0, 4)), gzipSync(message.subarray(4))]);
    const { response } = await answerTo(frame(members), IN_GZIP);
    expect(Buffer.from(response.prevKv?.value ?? []).toString()).toBe("value");
  });

  test("an answer in many pieces is one message", async () => {
    const kv = { key: Buffer.from("k"), value: Buffer.alloc(100_000, "v") };
    const message = PutResponse.encode(PutResponse.fromPartial({ prevKv: kv })).finish();
    const pieces = [message.subarray(0, 3), message.subarray(3, 70_000), message.subarray(70_000)];
    const asked = definePartOfService(KVDefinition, { put: async () => new EncodedMessage(pieces) });
    await serve(asked);
    const { response, isCompressed } = await answerTo(frame(gzipSync(put(Buffer.alloc(1)))), IN_GZIP);
    expect(isCompressed).toBe(true);
    expect(PutResponse.encode(response).finish().equals(message)).toBe(true);
  });

  test("a few bytes that would become very many are refused, and no handler sees them", async () => {
    const { call } = await serve(echo);
    const bomb = gzipSync(put(Buffer.alloc(100 * 1024 * 1024)));
    expect(bomb.length).toBeLessThan(STAGE_MAX_MESSAGE_BYTES / 10);
    expect(await call([frame(bomb)], IN_GZIP)).toMatchObject({
      "grpc-status": `${status.RESOURCE_EXHAUSTED}`,
      "grpc-message": `grpc: received message after decompression larger than max ${STAGE_MAX_MESSAGE_BYTES}`,
    });
    expect(calls).toBe(0);
    expect((await answerTo(frame(put(Buffer.from("v")), 0), {})).response.prevKv?.value).toHaveLength(1);
  });

  test("unpacked: as much as may come, and not a byte more", async () => {
    expect(await unpacked(gzipSync(Buffer.alloc(100_000)), 100_000)).toHaveLength(100_000);
    await expect(unpacked(gzipSync(Buffer.alloc(100_000)), 99_999)).rejects.toMatchObject({ code: 8 });
  });

  const whole = gzipSync(put(Buffer.alloc(100, "v")));
  const damaged = Buffer.from(whole);
  damaged.writeUInt8((damaged.at(-6) ?? 0) ^ 0xff, damaged.length - 6);
  test.each([
    [
      "no gzip",
      Buffer.from("nonsense that is no gzip"),
      "grpc: failed to decompress the message: gzip: invalid header",
    ],
    ["another sum", damaged, "grpc: failed to read decompressed data: gzip: invalid checksum"],
    ["no end", whole.subarray(0, -3), "grpc: failed to read decompressed data: unexpected EOF"],
  ])("a message of %s is INTERNAL in grpc-go's words", async (_name, message, words) => {
    const { call } = await serve(echo);
    expect(await call([frame(message)], IN_GZIP)).toMatchObject({ "grpc-status": "13", "grpc-message": words });
    expect(calls).toBe(0);
  });

  test("a second message beside a compressed one is refused", async () => {
    const { call } = await serve(echo);
    const told = await call([Buffer.concat([frame(whole), frame(whole)])], IN_GZIP);
    expect(told).toMatchObject({ "grpc-message": "cardinality violation: received multiple request messages" });
  });

  test("requests of a stream in gzip reach the handler in their order", async () => {
    const ids: bigint[] = [];
    const watch = definePartOfService(WatchDefinition, {
      watch: async (requests) => {
        for await (const { requestUnion } of requests) {
          if (requestUnion?.$case === "cancelRequest") ids.push(requestUnion.value.watchId);
        }
      },
    });
    const { target } = await serve(watch);
    using client = new GrpcClient(target, { "grpc.default_compression_algorithm": compressionAlgorithms.gzip });
    const call = client.stream(WATCH);
    const sent = Array.from({ length: 100 }, (_, id) => BigInt(id));
    for (const watchId of sent) {
      call.write(WatchRequest.fromPartial({ requestUnion: { $case: "cancelRequest", value: { watchId } } }));
    }
    call.end();
    call.resume();
    await once(call, "end");
    expect(ids).toEqual(sent);
  });

  test("a stream whose request cannot be unpacked ends with the reason", async () => {
    const watch = definePartOfService(WatchDefinition, {
      watch: async (requests) => {
        for await (const _ of requests) calls++;
      },
    });
    const { call } = await serve(watch);
    const told = await call([frame(Buffer.from("no gzip at all"))], {
      ...IN_GZIP,
      ":path": "/etcdserverpb.Watch/Watch",
    });
    expect(told).toMatchObject({ "grpc-status": "13" });
    expect(calls).toBe(0);
  });
});
