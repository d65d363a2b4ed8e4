import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { resolve } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, test, vi } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { rawHttp, rawRequest } from "../../test/support/raw-http.ts";
import { PATIENTLY } from "../../test/support/until.ts";
import { systemClock } from "../base/clock.ts";
import { isMusterError, type MusterError } from "../base/errors.ts";
import { KEEP_ALIVE_MS } from "../base/limits.ts";
import { silentLog } from "../base/log.ts";
import { GrpcServer } from "../grpc/grpc-server.ts";
import type { ListenAddress } from "./config-values.ts";
import { Listener } from "./listener.ts";
import type { TlsKeys } from "./tls-keys.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const opened: Listener[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((listener) => listener.close(0)));
});

async function open(options: { handle?: RequestListener; max?: number; address?: ListenAddress; tls?: TlsKeys } = {}) {
  const listener = await Listener.open({
    address: options.address ?? { host: "127.0.0.1", port: 0, text: "127.0.0.1:0" },
    option: "--listen",
    maxConnections: options.max ?? 100,
    maxHeaderBytes: 16_384,
    handle: options.handle ?? ((_request, response) => void response.end("ok")),
    grpc: new GrpcServer({ services: [], maxMessageBytes: 1024, log: silentLog }),
    trustProxy: false,
    tls: options.tls,
    clock: systemClock,
    log: silentLog,
  });
  opened.push(listener);
  return listener;
}

async function refusal(address: ListenAddress): Promise<MusterError> {
  const error: unknown = await open({ address }).catch((reason: unknown) => reason);
  if (isMusterError(error)) return error;
  throw new Error("the address was taken", { cause: error });
}

describe("Listener.open", () => {
  test("Listener.open: port 0 gives a URL with the port that was chosen", async () => {
    const { url } = await open();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(await (await fetch(url)).text()).toBe("ok");
  });

  test("Listener.open: a port in use is an error that names port, address and option", async () => {
    const { port } = new URL((await open()).url);
    const error = await refusal({ host: "127.0.0.1", port: Number(port), text: `127.0.0.1:${port}` });
    expect(error.code).toBe("addressInUse");
    expect(error.message).toBe(
      `Stop what uses port ${port}, or choose another with --listen: cannot listen on 127.0.0.1:${port}, the port is in use`,
    );
  });

  test("Listener.open: an address of another machine is an error of configuration", async () => {
    const error = await refusal({ host: "192.0.2.1", port: 8087, text: "192.0.2.1:8087" });
    expect(error.code).toBe("configInvalid");
    expect(error.message).toContain("cannot listen on 192.0.2.1:8087, it is no address of this machine");
  });
});

describe("Listener: limits", () => {
  test("Listener: idle connections are kept 90 s or more", async () => {
    expect(KEEP_ALIVE_MS).toBeGreaterThanOrEqual(90_000);
    const { url } = await open();
    using client = rawHttp(url, GET);
    expect(await client.received(/ok$/)).toContain(`Keep-Alive: timeout=${KEEP_ALIVE_MS / 1_000}\r\n`);
  });

  test("Listener: what is not HTTP is answered 400 and closed", async () => {
    const { url } = await open();
    expect(await rawHttp(url, "HELLO\r\n\r\n").closed).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  });

  test("Listener: headers beyond the limit are answered 431", async () => {
    const { url } = await open();
    const answer = await rawRequest(url, ["GET / HTTP/1.1", "Host: a", `X: ${"x".repeat(20_000)}`]);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  test("Listener: a connection too many is answered 503, and the next is taken when one has gone", async () => {
    const { url } = await open({ max: 1 });
    const first = rawHttp(url, GET);
    await first.received(/ok$/);
    expect(await rawHttp(url, GET).closed).toMatch(
      /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n[\s\S]*Try again later, or raise --max-connections: 1 connections are open\n$/,
    );
    first[Symbol.dispose]();
    await vi.waitFor(async () => {
      using again = rawHttp(url, GET);
      await again.received(/^HTTP\/1\.1 200 [\s\S]*ok$/);
    }, PATIENTLY);
  });
});

describe("Listener.close", () => {
  test("Listener.close: idle connections end at once, requests under way are answered first", async () => {
    const asked = deferred<() => void>();
    const listener = await open({
      handle: (request, response) => {
        if (request.url === "/slow") asked.resolve(() => response.end("slow"));
        else response.end("ok");
      },
    });
    const idle = rawHttp(listener.url, GET);
    await idle.received(/ok$/);
    const slow = rawHttp(listener.url, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    const answer = await asked.promise;
    const closed = listener.close(60_000);
    await idle.closed;
    answer();
    expect(await slow.closed).toContain("slow");
    await closed;
  });

  test("Listener.close: what is not done after the grace is cut off", async () => {
    const asked = deferred<void>();
    const listener = await open({ handle: () => asked.resolve() });
    const stuck = rawHttp(listener.url, GET);
    await asked.promise;
    await listener.close(50);
    expect(await stuck.closed).toBe("");
  });

  describe("with TLS", () => {
    const pem = (name: string) => readFileSync(resolve(import.meta.dirname, "../../test/support/tls", name));
    const tls: TlsKeys = { cert: pem("cert.pem"), key: pem("key.pem") };

    async function connected(url: string): Promise<TLSSocket> {
      const socket = connect({ port: Number(new URL(url).port), ca: tls.cert, servername: "localhost" });
      socket.on("error", () => undefined).resume();
      await new Promise((done) => socket.once("secureConnect", done));
      return socket;
    }

    test.each([
      ["says nothing", ""],
      ["stops within its handshake", "\x16\x03\x01\x02\x00\x01"],
    ])("Listener.close: a connection that %s ends at once", async (_what, sent) => {
      const listener = await open({ tls });
      const silent = rawHttp(listener.url, sent);
      // Whoever came later has been taken up, so that this one was accepted.
      (await connected(listener.url)).destroy();
      await listener.close(60_000);
      expect(await silent.closed).toBe("");
    });

    test("Listener.close: a request under way is answered first, an idle connection ends at once", async () => {
      const asked = deferred<() => void>();
      const listener = await open({
        tls,
        handle: (request, response) => {
          if (request.url === "/slow") asked.resolve(() => response.end("slow"));
          else response.end("ok");
        },
      });
      const idle = await connected(listener.url);
      idle.write(GET);
      await new Promise((done) => idle.once("data", done));
      const slow = await connected(listener.url);
      let answer = "";
      slow.setEncoding("utf8").on("data", (part: string) => {
        answer += part;
      });
      slow.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
      const go = await asked.promise;
      const idleEnds = new Promise((done) => idle.once("close", done));
      const slowEnds = new Promise((done) => slow.once("close", done));
      const closed = listener.close(60_000);
      await idleEnds;
      go();
      await slowEnds;
      expect(answer).toContain("slow");
      await closed;
    });
  });

  test("Listener.close: its port is free again", async () => {
    const listener = await open();
    const port = Number(new URL(listener.url).port);
    await listener.close(0);
    const other = createServer();
    await new Promise<void>((resolve, reject) => {
      other.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
    await new Promise((resolve) => other.close(resolve));
  });
});
