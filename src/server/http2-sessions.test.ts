import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { callHeaders } from "../../test/support/grpc-stage.ts";
import { KEEP_ALIVE_MS } from "../base/limits.ts";
import { silentLog } from "../base/log.ts";
import { GrpcServer } from "../grpc/grpc-server.ts";
import { encodeFields } from "../http2/hpack-encoder.ts";
import { NO_USER } from "../http2/no-user.ts";
import type { ServerStream } from "../http2/server-stream.ts";
import { ConnectionLimit } from "./connection-limit.ts";
import { Http2Sessions } from "./http2-sessions.ts";

const OK = encodeFields([[":status", "200"]]);

let server: Server;
let sessions: Http2Sessions;
/** Requests that are not gRPC's; the test answers them. */
let requests: ServerStream[];
let accepted: ReturnType<typeof deferred<Socket>>;
let client: ClientHttp2Session;

beforeEach(async () => {
  requests = [];
  accepted = deferred<Socket>();
  sessions = new Http2Sessions({
    grpc: new GrpcServer({ services: [], log: silentLog, maxMessageBytes: 1_000 }),
    bridge: {
      handle: (stream) => {
        stream.serve(NO_USER);
        requests.push(stream);
      },
    },
    limit: new ConnectionLimit({ max: 10, log: silentLog }),
    peerOf: (from) => ({ address: "", host: undefined, scheme: "http", connection: from.connection }),
    log: silentLog,
  });
  server = createServer((socket) => {
    sessions.take(socket);
    accepted.resolve(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const bound = server.address();
  client = connect(`http://127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`);
  client.on("error", () => undefined);
});

afterEach(async () => {
  client.destroy();
  sessions.destroy();
  await new Promise((resolve) => server.close(resolve));
});

/** As if nothing had come or gone for the time that the socket was told. */
async function beIdle(): Promise<Socket> {
  const socket = await accepted.promise;
  socket.emit("timeout");
  return socket;
}

describe("Http2Sessions: connections that nobody uses", () => {
  test("Http2Sessions: one without a request is ended after a while", async () => {
    const closed = once(client, "close");
    expect((await accepted.promise).timeout).toBe(KEEP_ALIVE_MS);
    await beIdle();
    await closed;
  });

  test("Http2Sessions: one whose request waits for its answer is not", async () => {
    const stream = client.request({ ":path": "/" });
    const response = once(stream, "response");
    await expect.poll(() => requests.length).toBe(1);
    const socket = await beIdle();
    requests[0]?.respond(OK, true);
    expect((await response)[0][":status"]).toBe(200);
    expect({ isClosed: client.closed, timeout: socket.timeout }).toEqual({ isClosed: false, timeout: KEEP_ALIVE_MS });
    const closed = once(client, "close");
    await beIdle();
    await closed;
  });

  test("Http2Sessions: one of gRPC is never", async () => {
    await once(client.request(callHeaders("/a.B/C"), { endStream: true }).resume(), "close");
    const socket = await accepted.promise;
    expect(socket.timeout).toBe(0);
  });
});

describe("Http2Sessions.close", () => {
  test("requests under way are answered, and the connection ends then", async () => {
    const stream = client.request({ ":path": "/" });
    const response = once(stream, "response");
    await expect.poll(() => requests.length).toBe(1);
    const told = once(client, "goaway");
    const closed = once(client, "close");
    sessions.close();
    expect((await told)[0]).toBe(0);
    requests[0]?.respond(OK, true);
    expect((await response)[0][":status"]).toBe(200);
    await closed;
  });

  test("a connection that comes then is ended at once", async () => {
    sessions.close();
    await once(client, "close");
    expect(requests).toEqual([]);
  });
});
