import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rawHttp } from "../../../test/support/raw-http.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { V2_BODY_BYTES } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import { Tree } from "../../domain/tree/tree.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { HeldAnswer } from "../face.ts";
import { KeysFace } from "./keys-face.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

let engine: Engine;
let tree: Tree;
let server: Server;
let agent: Agent;
let stop: AbortController;
let failures: unknown[];
let responses: ServerResponse[];

/** How far the clock was put forward. */
let aheadMs: number;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };

beforeEach(async () => {
  aheadMs = 0;
  engine = openMemoryEngine();
  tree = await Tree.open({ engine, clock, log: silentLog });
  stop = new AbortController();
  failures = [];
  responses = [];
  const face = new KeysFace({ storeFor: () => tree, clock, clusterId: "0123456789abcdef" });
  server = createServer((incoming, response) => {
    responses.push(response);
    const [path = "/", query = ""] = (incoming.url ?? "/").split("?");
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const signal = AbortSignal.any([stop.signal, gone.signal]);
    const peer = { address: "127.0.0.1", host: undefined, scheme: "http", connection: {} } as const;
    const hold = (held: HeldAnswer) => signal.addEventListener("abort", () => held.onGone());
    face.handle({ request: incoming, response, peer, path, query, signal, hold }).catch((error: unknown) => {
      failures.push(error);
      response.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  agent = new Agent({ keepAlive: true, maxSockets: 1 });
});

afterEach(async () => {
  agent.destroy();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
  await tree.close();
  await engine.close();
  expect(failures).toEqual([]);
});

interface Asked {
  readonly form?: string;
  readonly body?: string | Buffer;
  readonly type?: string;
  readonly agent?: Agent;
}

async function open(method: string, path: string, asked: Asked = {}): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo;
  const body = asked.form ?? asked.body;
  const type = asked.form === undefined ? asked.type : "application/x-www-form-urlencoded";
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  const headers = { ...length, ...(type === undefined ? {} : { "content-type": type }) };
  const sent = request({ port, host: "127.0.0.1", method, path, headers, agent: asked.agent ?? false });
  sent.end(body);
  const [response] = await once(sent, "response");
  return response;
}

async function ask(method: string, path: string, asked: Asked = {}): Promise<Answer> {
  const response = await open(method, path, asked);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

async function nextChunk(response: IncomingMessage): Promise<string> {
  const [chunk] = await once(response, "data");
  return String(chunk);
}

describe("KeysFace", () => {
  it.each([
    ["/v2/keys", true],
    ["/v2/keys/a", true],
    ["//v2/keys", true],
    ["/x/../v2/keys/a", true],
    ["/v2/%6beys/a", true],
    ["/v2/keysfoo", false],
    ["/v2", false],
    ["/%zz", false],
  ])("claims: %s %j", (path, claimed) => {
    const face = new KeysFace({ storeFor: () => tree, clock, clusterId: "" });
    expect(face.claims(path)).toBe(claimed);
  });

  it("answers a set with 201, then 200, and the store's headers", async () => {
    const made = await ask("PUT", "/v2/keys/k", { form: "value=1" });
    expect(made.status).toBe(201);
    expect(made.headers).toMatchObject({
      "content-type": "application/json",
      "x-etcd-cluster-id": "0123456789abcdef",
      "x-etcd-index": "2",
      "x-raft-index": "2",
    });
    const set = await ask("PUT", "/v2/keys/k", { form: "value=2" });
    expect([set.status, JSON.parse(set.body)]).toMatchObject([200, { action: "set", prevNode: { value: "1" } }]);
  });

  it("answers errors in etcd's words", async () => {
    const missing = await ask("GET", "/v2/keys/none");
    expect([missing.status, missing.body]).toEqual([
      404,
      '{"errorCode":100,"message":"Key not found","cause":"/none","index":1}\n',
    ]);
    expect(missing.headers["x-raft-index"]).toBeUndefined();
    const wrong = await ask("PUT", "/v2/keys/k", { form: "value=1&prevIndex=18446744073709551615" });
    expect(wrong.status).toBe(404);
    await ask("PUT", "/v2/keys/b", { form: "value=%E0%A0" });
    const unequal = await ask("PUT", "/v2/keys/b", { form: "value=y&prevValue=x" });
    expect(JSON.parse(unequal.body)).toMatchObject({ errorCode: 101, cause: "[x != \ufffd\ufffd]" });
    const root = await ask("DELETE", "/v2/keys/?prevValue=x");
    expect([root.status, root.body]).toEqual([403, '{"errorCode":102,"message":"Not a file","index":2}\n']);
    const broken = await ask("PUT", "/v2/keys/k", { form: "value=%zz" });
    expect([broken.status, JSON.parse(broken.body)]).toMatchObject([
      400,
      { errorCode: 210, message: "Invalid POST form" },
    ]);
  });

  it("answers other methods with 405 and Allow, and unclean paths with 301", async () => {
    const patched = await ask("PATCH", "/v2/keys/k");
    expect([patched.status, patched.headers.allow]).toEqual([405, "HEAD,GET,PUT,POST,DELETE"]);
    const moved = await ask("GET", "/v2/keys/a//b%20c?recursive=true");
    expect([moved.status, moved.headers.location]).toEqual([301, "/v2/keys/a/b%20c?recursive=true"]);
    const odd = await ask("GET", "/v2/keys//*(a)!'%3F%23");
    expect(odd.headers.location).toBe("/v2/keys/%2A%28a%29%21%27%3F%23");
  });

  it("refuses a body that is too large, and goes on with the connection", async () => {
    const body = Buffer.alloc(V2_BODY_BYTES + 1, "x");
    const refused = await ask("PUT", "/v2/keys/k", { body, type: "application/x-www-form-urlencoded", agent });
    expect(refused.status).toBe(413);
    const next = await ask("PUT", "/v2/keys/k", { form: `value=${"x".repeat(V2_BODY_BYTES - 6)}`, agent });
    expect(next.status).toBe(201);
  });

  it("reads no body that is no form, and none of a GET or DELETE", async () => {
    const set = await ask("PUT", "/v2/keys/k", { body: '{"value":"x"}', type: "application/json", agent });
    expect(JSON.parse(set.body)).toMatchObject({ node: { value: "" } });
    const deleted = await ask("DELETE", "/v2/keys/k", { form: "prevValue=other", agent });
    expect(JSON.parse(deleted.body)).toMatchObject({ action: "delete" });
  });

  it("refuses a write whose Content-Type is none, as Go's server does", async () => {
    const refused = await ask("PUT", "/v2/keys/k", { body: "value=x", type: "text/", agent });
    expect([refused.status, JSON.parse(refused.body)]).toEqual([
      400,
      { errorCode: 210, message: "Invalid POST form", cause: "mime: expected token after slash", index: 0 },
    ]);
    expect((await ask("GET", "/v2/keys/k", { agent })).status).toBe(404);
  });

  it("does not wait for a read by quorum", async () => {
    const read = await ask("GET", "/v2/keys/none?wait=true&quorum=true");
    expect(read.status).toBe(404);
  });

  it("sends the headers of a wait at once and its event when it comes", async () => {
    const waiting = await open("GET", "/v2/keys/k?wait=true");
    expect(waiting.headers["x-etcd-index"]).toBe("1");
    const told = nextChunk(waiting);
    const ended = once(waiting, "end");
    await ask("PUT", "/v2/keys/k", { form: "value=now" });
    expect(JSON.parse(await told)).toMatchObject({ action: "set", node: { value: "now" } });
    await ended;
  });

  it("tells of a past event what was left then of a time to live", async () => {
    const set = await ask("PUT", "/v2/keys/k", { form: "value=x&ttl=100" });
    aheadMs = 30_000;
    const past = await ask("GET", `/v2/keys/k?wait=true&waitIndex=${set.headers["x-etcd-index"]}`);
    expect(JSON.parse(past.body)).toMatchObject({ action: "set", node: { ttl: 100 } });
    const now = await ask("GET", "/v2/keys/k");
    expect(JSON.parse(now.body)).toMatchObject({ node: { ttl: 70 } });
  });

  it("streams events until the client goes", async () => {
    const stream = await open("GET", "/v2/keys/d?wait=true&recursive=true&stream=true");
    for (const name of ["a", "b"]) {
      const told = nextChunk(stream);
      await ask("PUT", `/v2/keys/d/${name}`, { form: "value=x" });
      expect(JSON.parse(await told)).toMatchObject({ node: { key: `/d/${name}` } });
    }
    stream.destroy();
  });

  it("a stream whose reader is slow leaves no listeners behind, however many events it had to wait with", async () => {
    const stream = await open("GET", "/v2/keys/k?wait=true&stream=true");
    const value = "x".repeat(500_000);
    for (let place = 0; place < 12; place++) await ask("PUT", "/v2/keys/k", { form: `value=${value}` });
    let received = 0;
    for await (const chunk of stream) {
      received += chunk.length;
      if (received > 11 * 2 * value.length) break;
    }
    const [response] = responses;
    expect(response?.listenerCount("drain")).toBeLessThanOrEqual(1);
    // The face's own, the test's, and once()'s for the event that is being sent.
    expect(response?.listenerCount("close")).toBeLessThanOrEqual(3);
    expect(response?.listenerCount("error")).toBeLessThanOrEqual(3);
    stream.destroy();
  });

  it("a wait ends when its client goes, though it came with a body that nobody reads", async () => {
    const { port } = server.address() as AddressInfo;
    const head = "GET /v2/keys/k?wait=true HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    const client = rawHttp(`http://127.0.0.1:${port}`, head + "x".repeat(200_000));
    await client.received(/200 OK/);
    const closed = responses.map((response) => once(response, "close"));
    client[Symbol.dispose]();
    expect(await Promise.all(closed)).toHaveLength(1);
  });

  it("cuts waits when the service stops: an empty answer would be the end for a node that boots", async () => {
    const waiting = await open("GET", "/v2/keys/k?wait=true");
    const cut = once(waiting, "error");
    waiting.resume();
    stop.abort();
    expect(await cut).toMatchObject([{ code: "ECONNRESET" }]);
  });

  it("answers 503 where the store is closed, for clients to try again", async () => {
    await tree.close();
    await engine.close();
    const answer = await ask("GET", "/v2/keys/k");
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([503, { errorCode: 300 }]);
  });
});
