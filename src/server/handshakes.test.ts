import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { connect as connectInClear, type Socket } from "node:net";
import { resolve } from "node:path";
import { Duplex } from "node:stream";
import { connect } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rawHttp } from "../../test/support/raw-http.ts";
import { createLog } from "../base/log.ts";
import { FailedHandshakes } from "./failed-handshakes.ts";
import { Handshakes } from "./handshakes.ts";

const pem = (name: string) => readFileSync(resolve(import.meta.dirname, "../../test/support/tls", name));

let server: Server;
let handshakes: Handshakes;
let url: string;
let lines: { readonly reason: string; readonly address: string; readonly msg: string }[];

beforeEach(async () => {
  lines = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = createLog({ level: "info", format: "json", destination: { write } });
  // Time stands still.
  const failed = new FailedHandshakes({ clock: { monotonic: () => 0 }, log, listener: "[::]:0" });
  handshakes = new Handshakes({ failed });
  server = createServer({ cert: pem("cert.pem"), key: pem("key.pem") }, (_request, response) => response.end("ok"));
  handshakes.watch(server);
  // On both families, so that clients of IPv4 show as such of IPv6.
  await new Promise<void>((done) => server.listen(0, done));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("it listens on no port");
  url = `http://127.0.0.1:${bound.port}`;
});
afterEach(async () => {
  const closed = new Promise((done) => server.close(done));
  server.closeAllConnections();
  handshakes.destroy();
  await closed;
});

/** What was logged by the time that something was. */
async function logged(): Promise<typeof lines> {
  await expect.poll(() => lines.length).toBeGreaterThan(0);
  return lines;
}

/** As a client of TLS 1.2 says that it does not know who signed the certificate; one of Node's would just go. */
const UNKNOWN_CA = Buffer.from("15030300020230", "hex");

/** Begins a handshake, waits for the certificate and says so; resolves when the server has closed the connection. */
async function distrust(): Promise<void> {
  const socket = connectInClear(Number(new URL(url).port), "127.0.0.1");
  const write = (chunk: Buffer) => void socket.write(chunk);
  const hello = new Duplex({ read: () => undefined, write: (chunk: Buffer) => write(chunk) });
  const client = connect({ socket: hello, maxVersion: "TLSv1.2" }).on("error", () => undefined);
  await new Promise((done) => socket.once("data", done));
  socket.on("error", () => undefined).resume();
  write(UNKNOWN_CA);
  await new Promise((done) => socket.once("close", done));
  client.destroy();
}

test("Handshakes: a client that speaks HTTP in clear is told so, and the log is", async () => {
  const answer = await rawHttp(url, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").closed;
  expect(answer).toContain("503 Service Unavailable: Begin the URL with https://");
  const line = { level: "warn", reason: "http request", address: "127.0.0.1", listener: "[::]:0" };
  expect(await logged()).toEqual([expect.objectContaining(line)]);
});

test("Handshakes: a client that speaks gRPC in clear is logged by its address", async () => {
  await rawHttp(url, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").closed;
  const line = { reason: "wrong version number", address: "127.0.0.1" };
  expect(await logged()).toEqual([expect.objectContaining(line)]);
});

test("Handshakes: a client that says it does not trust the certificate is logged by its address", async () => {
  await distrust();
  const line = {
    reason: expect.stringMatching(/alert unknown ca$/),
    address: "127.0.0.1",
    msg: expect.stringContaining("does not take the certificate"),
  };
  expect(await logged()).toEqual([expect.objectContaining(line)]);
});

test("Handshakes: a client that breaks its handshake off is logged by its address, though it is gone", async () => {
  const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1" });
  const untrusted = await new Promise<NodeJS.ErrnoException>((told) => socket.once("error", told));
  expect(untrusted.code).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
  const line = { address: "127.0.0.1", msg: expect.stringContaining("broke off a TLS handshake") };
  expect(await logged()).toEqual([expect.objectContaining(line)]);
});

test("Handshakes: what connects and says nothing, and what the server itself cuts off, is not logged", async () => {
  const failures: unknown[] = [];
  server.on("tlsClientError", (error) => failures.push(error));
  const connected = async (text: string) => {
    const accepted = new Promise<Socket>((done) => server.once("connection", done));
    const client = rawHttp(url, text);
    return { client, accepted: await accepted };
  };
  (await connected("")).client[Symbol.dispose]();
  await expect.poll(() => failures).toHaveLength(1);
  const { client, accepted } = await connected("\x16\x03\x01\x02\x00\x01");
  await expect.poll(() => accepted.bytesRead).toBeGreaterThan(0);
  handshakes.destroy();
  await client.closed;
  await expect.poll(() => failures).toHaveLength(2);
  expect(lines).toEqual([]);
});
