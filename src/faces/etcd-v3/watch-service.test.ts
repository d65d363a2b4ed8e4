import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { serveGrpc } from "../../../test/support/grpc-served.ts";
import { V3Client } from "../../../test/support/v3-client.ts";
import { utf8 } from "../../base/bytes.ts";
import { type Keyspace, openKeyspace } from "../../domain/keyspace/keyspace.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import { WatchCreateRequest, WatchRequest } from "../../proto/etcdserverpb.ts";
import { Headers } from "./header.ts";
import { watchService } from "./watch-service.ts";

const WATCHES = 50;

let engine: Engine;
/** The watches that are open on the keyspace. */
let open: Set<Watch>;
/** Whether watches are made never, as while a remote store is away. */
let isAway: boolean;
let served: Awaited<ReturnType<typeof serveGrpc>>;

beforeEach(async () => {
  engine = openMemoryEngine();
  open = new Set();
  isAway = false;
  const keyspace = openKeyspace(engine);
  const watch: Keyspace["watch"] = (request) => {
    const made = keyspace.watch(request);
    if (isAway) Object.assign(made, { createdRevision: new Promise(() => {}) });
    open.add(made);
    const close = made.close.bind(made);
    made.close = () => {
      open.delete(made);
      close();
    };
    return made;
  };
  const headers = new Headers({ clusterId: 1n, memberId: 2n });
  const keyspaceFor = () => ({ watch, status: () => keyspace.status() });
  served = await serveGrpc([watchService({ keyspaceFor, headers })]);
});

afterEach(async () => {
  await served[Symbol.asyncDispose]();
  await engine.close();
});

const createRequest = { create_request: { key: Buffer.from("a") } };

function put(key: string, bytes = 1) {
  const request = { key: utf8(key), value: new Uint8Array(bytes) };
  return engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
}

describe("Watch over gRPC", () => {
  it("frees all watches of a stream that its client cancels", async () => {
    using client = new V3Client(served.address);
    const stream = client.duplex("Watch/Watch");
    stream.on("error", () => {}).resume();
    for (let made = 0; made < WATCHES; made++) stream.write(createRequest);
    await expect.poll(() => open.size).toBe(WATCHES);
    stream.cancel();
    await expect.poll(() => open.size).toBe(0);
  });

  it.each([
    ["in the middle of reading", true],
    ["when it does not read and much is waiting for it", false],
  ])("frees all watches of a client whose connection breaks %s", async (_title, reads) => {
    const { hostname, port } = new URL(`http://${served.address}`);
    const socket = connectSocket(Number(port), hostname);
    const session = connect(`http://${served.address}`, { createConnection: () => socket });
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": "/etcdserverpb.Watch/Watch",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    if (reads) stream.resume();
    const value = WatchCreateRequest.fromPartial({ key: utf8("a") });
    const message = WatchRequest.encode({ requestUnion: { $case: "createRequest", value } }).finish();
    const frame = Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]);
    for (let made = 0; made < WATCHES; made++) stream.write(frame);
    await expect.poll(() => open.size).toBe(WATCHES);
    for (let count = 0; count < 20; count++) await put("a", 10_000);
    socket.destroy();
    await expect.poll(() => open.size).toBe(0);
  });

  it("frees a watch that a store which is away never made, when its client goes", async () => {
    isAway = true;
    using client = new V3Client(served.address);
    const stream = client.duplex("Watch/Watch");
    stream.on("error", () => {}).resume();
    stream.write(createRequest);
    await expect.poll(() => open.size).toBe(1);
    stream.cancel();
    await expect.poll(() => open.size).toBe(0);
  });

  it("ends a stream with etcd's words when the store is closed under it", async () => {
    using client = new V3Client(served.address);
    const stream = client.duplex("Watch/Watch");
    const ended = new Promise((resolve) => stream.on("error", resolve));
    stream.resume();
    stream.write(createRequest);
    await expect.poll(() => open.size).toBe(1);
    await engine.close();
    expect(await ended).toMatchObject({ code: 14, details: "etcdserver: server stopped" });
  });
});
