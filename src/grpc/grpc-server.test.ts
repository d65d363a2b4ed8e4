import { compressionAlgorithms, Metadata, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { GrpcClient } from "../../test/support/grpc-client.ts";
import { type GrpcStage, STAGE_MAX_MESSAGE_BYTES, startGrpcStage } from "../../test/support/grpc-stage.ts";
import { createLog } from "../base/log.ts";
import { KVDefinition, PutRequest, type PutResponse } from "../proto/etcdserverpb.ts";
import { type Call, EncodedMessage } from "./call.ts";
import { GrpcError } from "./grpc-error.ts";
import { GrpcServer } from "./grpc-server.ts";
import { definePartOfService, type Service, type ServiceOptions } from "./service.ts";
import { Status } from "./status.ts";

const PUT = { service: "etcdserverpb.KV", method: KVDefinition.methods.put };

let stage: GrpcStage | undefined;
afterEach(async () => {
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
const put = (handle: Put, options?: ServiceOptions) => definePartOfService(KVDefinition, { put: handle }, options);

describe("GrpcServer: single calls", () => {
  test("GrpcServer: the handler sees the request, its size and its fields; the client the answer", async () => {
    const seen: unknown[] = [];
    const { client } = await serve(
      put(async (request, call) => {
        seen.push(Buffer.from(request.key).toString(), call.requestBytes, call.path, call.fields["x-mine"]);
        return { header: { clusterId: 2n ** 64n - 1n, memberId: 1n, revision: 7, raftTerm: 2 }, prevKv: undefined };
      }),
    );
    const metadata = new Metadata();
    metadata.set("x-mine", "yes");
    const request = PutRequest.fromPartial({ key: Buffer.from("a/b") });
    const response = await client.unary({ ...PUT, metadata }, request);
    expect(response.header).toEqual({ clusterId: 2n ** 64n - 1n, memberId: 1n, revision: 7, raftTerm: 2 });
    expect(seen).toEqual(["a/b", 5, "/etcdserverpb.KV/Put", "yes"]);
  });

  test("GrpcServer: messages of megabytes go both ways whole", async () => {
    const value = Buffer.alloc(3_000_000, "v");
    const { client } = await serve(
      put(async (request) => {
        const kv = { key: request.key, value: request.value, createRevision: 1, modRevision: 1, version: 1, lease: 0n };
        return { header: undefined, prevKv: kv };
      }),
    );
    const response = await client.unary(PUT, PutRequest.fromPartial({ key: Buffer.from("k"), value }));
    expect(Buffer.compare(response.prevKv?.value ?? Buffer.alloc(0), value)).toBe(0);
  });

  test("GrpcServer: an answer that is encoded already is sent as it is", async () => {
    const { client } = await serve(put(async () => new EncodedMessage([Buffer.from([10, 2]), Buffer.from([24, 9])])));
    const response = await client.unary(PUT, PutRequest.create());
    expect(response.header?.revision).toBe(9);
  });

  test("GrpcServer: a GrpcError is told with its code and message, whatever characters that has", async () => {
    const { client } = await serve(
      put(async () => {
        throw new GrpcError(Status.NOT_FOUND, "100 % käse:\nnone");
      }),
    );
    await expect(client.unary(PUT, PutRequest.create())).rejects.toMatchObject({
      code: status.NOT_FOUND,
      details: "100 % käse:\nnone",
    });
  });

  test("GrpcServer: another error is told as the service translates it", async () => {
    const toGrpcError = () => new GrpcError(Status.OUT_OF_RANGE, "translated");
    const broken = put(() => Promise.reject(new Error("inner")), { toGrpcError });
    const { client, log } = await serve(broken);
    await expect(client.unary(PUT, PutRequest.create())).rejects.toMatchObject({ code: 11, details: "translated" });
    expect(log()).toBe("");
  });

  test("GrpcServer: an error that nobody translates is logged, and the client told nothing of it", async () => {
    const { client, log } = await serve(put(() => Promise.reject(new Error("the secret"))));
    await expect(client.unary(PUT, PutRequest.create())).rejects.toMatchObject({ code: 2, details: "internal error" });
    expect(log()).toContain("the secret");
  });

  test("GrpcServer: an answer that cannot be encoded ends the call, and the next one is answered", async () => {
    let revision = Number.NaN;
    const { client } = await serve(
      put(async () => ({ header: { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 }, prevKv: undefined })),
    );
    await expect(client.unary(PUT, PutRequest.create())).rejects.toMatchObject({ code: status.UNKNOWN });
    revision = 3;
    expect((await client.unary(PUT, PutRequest.create())).header?.revision).toBe(3);
  });

  test("GrpcServer: a thousand calls side by side on one connection get each its own answer", async () => {
    const { client } = await serve(
      put(async (request) => ({
        header: { clusterId: 0n, memberId: 0n, revision: Number(Buffer.from(request.key).toString()), raftTerm: 0 },
        prevKv: undefined,
      })),
    );
    const numbers = Array.from({ length: 1_000 }, (_, index) => index + 1);
    const calls = numbers.map((n) => client.unary(PUT, PutRequest.fromPartial({ key: Buffer.from(`${n}`) })));
    expect((await Promise.all(calls)).map(({ header }) => header?.revision)).toEqual(numbers);
  });
});

test("GrpcServer: at level debug each call is a line in the log, with its status", async () => {
  const logged = deferred<string>();
  const log = createLog({ level: "debug", format: "json", destination: { write: logged.resolve } });
  stage = await startGrpcStage([put(() => Promise.reject(new GrpcError(Status.NOT_FOUND, "no")))], { log });
  await stage.call([Buffer.alloc(5)]);
  const line: unknown = JSON.parse(await logged.promise);
  expect(line).toMatchObject({ method: "/etcdserverpb.KV/Put", status: "5", peer: "127.0.0.1" });
});

describe("GrpcServer: what is no call", () => {
  const hello = put(async () => answered);

  test.each([
    ["/etcdserverpb.KV/Get", "unknown method Get for service etcdserverpb.KV"],
    ["/other.KV/Put", "unknown service other.KV"],
    ["/Put", 'malformed method name: "/Put"'],
    ["/other /Put", "unknown service other%20"],
  ])("GrpcServer: %s is UNIMPLEMENTED in grpc-go's words", async (path, message) => {
    const { call } = await serve(hello);
    const told = await call([Buffer.alloc(5)], { ":path": path });
    expect(told).toMatchObject({ ":status": 200, "grpc-status": "12", "grpc-message": message });
  });

  test("GrpcServer: another method than POST, an encoding and a time that is none are refused", async () => {
    const { call } = await serve(hello);
    expect(await call([], { ":method": "GET" })).toMatchObject({ "grpc-status": "13" });
    expect(await call([Buffer.alloc(5)], { "grpc-encoding": "gzip" })).toMatchObject({
      "grpc-status": "12",
      "grpc-message": 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
      "grpc-accept-encoding": "identity",
    });
    expect(await call([Buffer.alloc(5)], { "grpc-timeout": "soon" })).toMatchObject({
      "grpc-status": "13",
      "grpc-message": 'malformed grpc-timeout: "soon"',
    });
  });

  test("GrpcServer: grpc-js with gzip is told UNIMPLEMENTED", async () => {
    const { target } = await serve(hello);
    using client = new GrpcClient(target, { "grpc.default_compression_algorithm": compressionAlgorithms.gzip });
    const request = PutRequest.fromPartial({ key: Buffer.alloc(10_000) });
    await expect(client.unary(PUT, request)).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });

  test.each([
    ["no message", [], "cardinality violation: received no request message"],
    ["an empty body", [Buffer.alloc(0)], "cardinality violation: received no request message"],
    ["half a header", [Buffer.from([0, 0])], "unexpected EOF"],
    ["half a message", [Buffer.from([0, 0, 0, 0, 9, 1])], "unexpected EOF"],
    ["no protobuf", [Buffer.from([0, 0, 0, 0, 2, 10, 9])], "grpc: error unmarshalling request: "],
    ["a compressed message", [Buffer.from([1, 0, 0, 0, 0])], "grpc: compressed flag set with identity"],
  ])("GrpcServer: a request of %s is INTERNAL", async (_name, chunks, message) => {
    const { call } = await serve(hello);
    const told = await call(chunks);
    expect(told).toMatchObject({ "grpc-status": "13", "grpc-message": expect.stringContaining(message) });
  });

  test("GrpcServer: a message beyond the limit is refused by its length, and the connection lives on", async () => {
    const { client } = await serve(hello);
    const tooLarge = PutRequest.fromPartial({ value: Buffer.alloc(STAGE_MAX_MESSAGE_BYTES) });
    await expect(client.unary(PUT, tooLarge)).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: `grpc: received message larger than max (${STAGE_MAX_MESSAGE_BYTES + 5} vs. ${STAGE_MAX_MESSAGE_BYTES})`,
    });
    expect(await client.unary(PUT, PutRequest.create())).toEqual(answered);
  });

  test("GrpcServer.speaks: gRPC is told by its content type, grpc-web is something else", () => {
    for (const type of ["application/grpc", "application/grpc+proto", "application/grpc;x=1"]) {
      expect(GrpcServer.speaks({ "content-type": type })).toBe(true);
    }
    for (const type of ["application/grpc-web", "application/json", undefined]) {
      expect(GrpcServer.speaks({ "content-type": type })).toBe(false);
    }
  });

  test("GrpcServerOptions.unknownMethod: another answer for what is not served", async () => {
    const unknownMethod = (path: string) => new GrpcError(Status.PERMISSION_DENIED, `not ${path}`);
    stage = await startGrpcStage([], { unknownMethod });
    expect(await stage.call([Buffer.alloc(5)])).toMatchObject({
      "grpc-status": "7",
      "grpc-message": "not /etcdserverpb.KV/Put",
    });
  });

  test("GrpcServerOptions.refusal: what it refuses is answered before anything is read", async () => {
    const refusal = () => new GrpcError(Status.PERMISSION_DENIED, "not you");
    stage = await startGrpcStage([hello], { refusal });
    expect(await stage.call([Buffer.alloc(5)])).toMatchObject({ "grpc-status": "7", "grpc-message": "not you" });
  });
});
