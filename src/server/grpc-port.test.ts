import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp } from "node:net";
import { fileURLToPath } from "node:url";
import { credentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { GrpcClient } from "../../test/support/grpc-client.ts";
import { rawHttp } from "../../test/support/raw-http.ts";
import { faceOf, startTestService, type TestService, waitingFace } from "../../test/support/test-service.ts";
import type { CallPeer } from "../grpc/call.ts";
import { defineService } from "../grpc/service.ts";
import { HealthCheckRequest, HealthDefinition } from "../proto/health.ts";

const tlsFile = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../test/support/tls/${name}`, import.meta.url)));
const tls = { cert: tlsFile("cert.pem"), key: tlsFile("key.pem") };
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHECK = { service: "grpc.health.v1.Health", method: HealthDefinition.methods.check };
const WATCH = { service: "grpc.health.v1.Health", method: HealthDefinition.methods.watch };

let running: TestService | undefined;
const opened: (() => void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) close();
  await running?.[Symbol.asyncDispose]();
  running = undefined;
});

/** Answers with what came: method, path, scheme and host of the peer, and the body. */
const echo = faceOf(async ({ request, response, path, peer }) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  response.setHeader("X-Many", ["1", "2"]);
  response.end(`${request.method} ${path} ${peer.scheme} ${peer.address} ${peer.host} ${body}`);
});

let latestPeer: CallPeer | undefined;
const health = defineService(HealthDefinition, {
  check: async ({ service }, call) => {
    latestPeer = call.peer;
    return { status: service === "" ? 1 : 3 };
  },
  list: async () => ({ statuses: [] }),
  watch: async (_request, call) => {
    await call.send({ status: 1 });
    await new Promise((_resolve, reject) => {
      call.signal.addEventListener("abort", () => reject(call.signal.reason));
    });
  },
});

function http2(url: string): ClientHttp2Session {
  const session = connect(url, url.startsWith("https:") ? { ca: tls.cert, servername: "localhost" } : {});
  session.on("error", () => undefined);
  opened.push(() => session.destroy());
  return session;
}

async function fetchHttp2(session: ClientHttp2Session, headers: Record<string, string>, body?: string) {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [head] = await once(stream, "response");
  if (!stream.closed) await once(stream, "close");
  return { head, text };
}

function grpcClient(target: string, channel = credentials.createInsecure()): GrpcClient {
  const client = new GrpcClient(target, {}, channel);
  opened.push(() => client[Symbol.dispose]());
  return client;
}

describe("Listener: in clear", () => {
  test("Listener: one port answers HTTP/1.1 and gRPC", async () => {
    running = await startTestService({ publicFaces: [echo], publicServices: [health] });
    const client = grpcClient(running.publicUrl);
    expect(await client.unary(CHECK, HealthCheckRequest.create())).toEqual({ status: 1 });
    expect(await (await fetch(`${running.publicUrl}/x`)).text()).toContain("GET /x http 127.0.0.1 ");
    expect(await client.unary(CHECK, { service: "x" })).toEqual({ status: 3 });
    expect(latestPeer).toMatchObject({ address: "127.0.0.1", scheme: "http", host: new URL(running.publicUrl).host });
  });

  test("Listener: an HTTP/2 request that is not gRPC gets the HTTP faces", async () => {
    running = await startTestService({ publicFaces: [echo], publicServices: [health] });
    const session = http2(running.publicUrl);
    const { host } = new URL(running.publicUrl);
    const { head, text } = await fetchHttp2(session, { ":path": "/a?b=c" });
    expect({ status: head[":status"], many: head["x-many"], text }).toEqual({
      status: 200,
      many: "1, 2",
      text: `GET /a http 127.0.0.1 ${host} `,
    });
    const body = "b".repeat(200_000);
    const put = await fetchHttp2(session, { ":method": "PUT", ":path": "/a" }, body);
    expect(put.text).toBe(`PUT /a http 127.0.0.1 ${host} ${body}`);
    expect((await fetchHttp2(session, { ":method": "CONNECT", ":authority": "a:1" })).head[":status"]).toBe(405);
  });

  test("Listener: a client of HTTP/2 that goes ends its wait at a face", async () => {
    const waiting = deferred();
    const over = deferred();
    const face = faceOf(
      ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            over.resolve();
            resolve();
          });
          waiting.resolve();
        }),
    );
    running = await startTestService({ publicFaces: [face] });
    const session = http2(running.publicUrl);
    session.request({ ":path": "/" }).on("error", () => undefined);
    await waiting.promise;
    session.destroy();
    await over.promise;
  });

  test("ProtocolSwitch: HTTP/1.1 that comes byte by byte, also a PUT and what begins like HTTP/2, is HTTP/1.1", async () => {
    running = await startTestService({ publicFaces: [echo] });
    for (const method of ["GET", "PUT", "PROPFIND"]) {
      using client = rawHttp(running.publicUrl, "");
      for (const byte of `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`) {
        client.send(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await client.received(/http 127/)).toContain(`${method} / http`);
    }
    expect(await rawHttp(running.publicUrl, "PR\r\n\r\n").closed).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("ProtocolSwitch: HTTP/2 that comes byte by byte is HTTP/2", async () => {
    running = await startTestService({ publicFaces: [echo], publicServices: [health] });
    const { port } = new URL(running.publicUrl);
    const socket = connectTcp(Number(port), "127.0.0.1");
    opened.push(() => socket.destroy());
    const preface = Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    ]);
    for (const byte of preface) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [first] = await once(socket, "data");
    // A SETTINGS frame on stream 0.
    expect([...first.subarray(3, 9)]).toEqual([4, 0, 0, 0, 0, 0]);
  });

  test("ProtocolSwitch: what begins as HTTP/2 and is none is closed, and nobody else is disturbed", async () => {
    running = await startTestService({ publicFaces: [echo] });
    await rawHttp(running.publicUrl, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\nwhatever").closed;
    await rawHttp(running.publicUrl, "PRINT / HTTP/1.1\r\n\r\n").closed;
    expect((await fetch(running.publicUrl)).status).toBe(200);
  });

  test("Listener.close: silent connections are closed, streams ended and clients of HTTP/2 let go", async () => {
    const waiting = deferred();
    running = await startTestService({ publicFaces: [waitingFace(waiting.resolve)], publicServices: [health] });
    const silent = rawHttp(running.publicUrl, "");
    const stream = grpcClient(running.publicUrl).serverStream(WATCH, { service: "" });
    await once(stream, "data");
    const session = http2(running.publicUrl);
    session.request({ ":path": "/" }).on("error", () => undefined);
    await waiting.promise;
    const ended = once(stream, "error");
    await running.service.stop();
    expect(await ended).toMatchObject([{ code: 14, details: "the server is stopping" }]);
    await silent.closed;
    if (!session.closed) await once(session, "close");
  });
});

describe("Listener: limits of HTTP/2", () => {
  test("ConnectionLimit: gRPC on a connection too many is UNAVAILABLE, HTTP is 503", async () => {
    running = await startTestService({ publicFaces: [echo], publicServices: [health], config: { maxConnections: 1 } });
    using first = rawHttp(running.publicUrl, GET);
    await first.received(/http 127/);
    const refused = grpcClient(running.publicUrl).unary(CHECK, { service: "" });
    await expect(refused).rejects.toMatchObject({ code: 14, details: expect.stringContaining("--max-connections") });
    const { head } = await fetchHttp2(http2(running.publicUrl), { ":path": "/" });
    expect(head[":status"]).toBe(503);
  });

  test("ClientGuard: a call of another site's page, or to a name that is not ours, is PERMISSION_DENIED", async () => {
    running = await startTestService({ clientFaces: [echo], clientServices: [health] });
    const session = http2(running.clientUrl);
    const call = { ":method": "POST", ":path": "/grpc.health.v1.Health/Check", "content-type": "application/grpc" };
    const status = async (headers: Record<string, string>) => {
      const { head } = await fetchHttp2(session, { ...call, ...headers }, "\0\0\0\0\0");
      return head["grpc-status"];
    };
    expect(await status({ origin: "https://evil.example" })).toBe("7");
    expect(await status({ ":authority": "evil.example:8088" })).toBe("7");
    // No browser sends what is no host and port.
    expect(await status({ ":authority": "10.0.0.1:2379,10.0.0.2:2379" })).toBeUndefined();
    // As etcd's client 3.5.0 does.
    expect(await status({ ":authority": "#initially=[http://127.0.0.1:2379;http://[::1]:2379]" })).toBeUndefined();
    expect(await status({})).toBeUndefined();
    expect((await fetchHttp2(session, { ":path": "/", ":authority": "evil.example" })).head[":status"]).toBe(403);
  });

  test("peerOf: behind a proxy that is trusted the call's peer is whom that names", async () => {
    running = await startTestService({ publicServices: [health], config: { trustProxy: true } });
    const session = http2(running.publicUrl);
    const headers = {
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      "x-forwarded-for": "6.6.6.6, 10.1.2.3",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "discovery.example.com",
    };
    await fetchHttp2(session, headers, "\0\0\0\0\0");
    expect(latestPeer).toMatchObject({ address: "10.1.2.3", scheme: "https", host: "discovery.example.com" });
  });

  test("Listener: a client that cancels thousands of calls is not cut off", async () => {
    running = await startTestService({ publicServices: [health] });
    const client = grpcClient(running.publicUrl);
    for (let round = 0; round < 30; round++) {
      const streams = Array.from({ length: 100 }, () => client.serverStream(WATCH, { service: "" }));
      await Promise.all(
        streams.map((stream) =>
          once(
            stream.on("error", () => undefined),
            "data",
          ),
        ),
      );
      for (const stream of streams) stream.cancel();
    }
    expect(await client.unary(CHECK, { service: "" })).toEqual({ status: 1 });
  });
});

describe("Listener: with TLS", () => {
  test("Listener: gRPC, HTTP/2 and HTTP/1.1 are told apart by what TLS negotiates", async () => {
    running = await startTestService({ publicFaces: [echo], publicServices: [health], config: { tls } });
    expect(running.publicUrl).toMatch(/^https:/);
    const { host } = new URL(running.publicUrl);
    const client = grpcClient(running.publicUrl, credentials.createSsl(tls.cert));
    expect(await client.unary(CHECK, { service: "" })).toEqual({ status: 1 });
    expect(latestPeer).toMatchObject({ address: "127.0.0.1", scheme: "https", host });
    const { text } = await fetchHttp2(http2(running.publicUrl), { ":path": "/two", ":authority": host });
    expect(text).toBe(`GET /two https 127.0.0.1 ${host} `);
    const [response] = await once(
      httpsRequest(`${running.publicUrl}/one`, { ca: tls.cert, servername: "localhost" }).end(),
      "response",
    );
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe(`GET /one https 127.0.0.1 ${host} `);
  });

  test("Listener: a request in clear to a port with TLS is told to come by TLS, other bytes are let go", async () => {
    running = await startTestService({ publicFaces: [echo], config: { tls } });
    const told = await rawHttp(running.publicUrl, GET).closed;
    expect(told).toMatch(/^HTTP\/1\.1 503 /);
    expect(told).toContain("https://");
    expect(await rawHttp(running.publicUrl, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").closed).toBe("");
  });
});
