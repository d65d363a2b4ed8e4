import { afterEach, describe, expect, test, vi } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { rawHttp, rawRequest } from "../../test/support/raw-http.ts";
import { faceOf, startTestService, type TestService, waitingFace } from "../../test/support/test-service.ts";
import { PATIENTLY } from "../../test/support/until.ts";
import { MusterError } from "../base/errors.ts";
import { STOP_DEADLINE_MS } from "../base/limits.ts";
import type { Exchange, HttpFace } from "../faces/face.ts";
import type { Config } from "./config.ts";

const TOKEN = "6d1c2e9f0a3b4c5d6e7f8091a2b3c4d5";

let running: TestService | undefined;
afterEach(async () => {
  await running?.service.stop();
  running = undefined;
});

async function serve(face: HttpFace, config: Partial<Config> = {}): Promise<TestService> {
  running = await startTestService({ publicFaces: [face], config, logLevel: "debug" });
  return running;
}

/** Answers with what the exchange says of the request. */
const mirror = faceOf(async ({ response, peer: { address, host, scheme }, path, query }) => {
  response.end(JSON.stringify({ address, host, scheme, path, query }));
});

async function mirrored(lines: readonly string[], config: Partial<Config> = {}): Promise<unknown> {
  const { publicUrl } = await serve(mirror, config);
  const answer = await rawRequest(publicUrl, lines);
  return JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1));
}

describe("HttpEdge: the exchange", () => {
  test.each([
    ["/a/b?c=d?e", { path: "/a/b", query: "c=d?e" }],
    ["//TOKEN/%6Eame", { path: "//TOKEN/%6Eame", query: "" }],
    ["/a/../b/", { path: "/a/../b/", query: "" }],
    ["/?", { path: "/", query: "" }],
  ])("HttpEdge: the target %s comes as it is", async (target, expected) => {
    expect(await mirrored([`GET ${target} HTTP/1.1`, "Host: a.example:1"])).toMatchObject(expected);
  });

  test.each([
    ["http://b.example:2/x?y", { path: "/x", query: "y", host: "b.example:2" }],
    ["http://b.example", { path: "/", query: "", host: "b.example" }],
    ["http://b.example?y", { path: "/", query: "y", host: "b.example" }],
  ])("HttpEdge: a whole URL as target (%s) stands above the Host header", async (target, expected) => {
    expect(await mirrored([`GET ${target} HTTP/1.1`, "Host: a.example"])).toMatchObject(expected);
  });

  test("HttpEdge: two Hosts are none: nobody knows which one a proxy before it went by", async () => {
    const { publicUrl } = await serve({
      name: "any",
      claims: () => true,
      handle: async ({ response }) => void response.end(),
    });
    for (const second of ["a.example", "b.example"]) {
      const received = await rawHttp(publicUrl, `GET / HTTP/1.1\r\nHost: a.example\r\nhOST: ${second}\r\n\r\n`).closed;
      expect(received).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\r\nSend one Host header\n$/);
    }
  });

  test("HttpEdge: a Host that is none is absent", async () => {
    expect(await mirrored(["GET / HTTP/1.1", "Host: a/b@c"])).toEqual({
      address: "127.0.0.1",
      scheme: "http",
      path: "/",
      query: "",
    });
  });

  const forwarded = [
    "GET / HTTP/1.1",
    "Host: inner:8087",
    "X-Forwarded-For: 6.6.6.6, 10.0.0.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: discovery.example.com",
  ];

  test("HttpEdge: forwarded headers are not believed by default", async () => {
    expect(await mirrored(forwarded)).toMatchObject({ address: "127.0.0.1", host: "inner:8087", scheme: "http" });
  });

  test("HttpEdge: with trustProxy the last of the forwarded values count", async () => {
    expect(await mirrored(forwarded, { trustProxy: true })).toMatchObject({
      address: "10.0.0.7",
      host: "discovery.example.com",
      scheme: "https",
    });
  });

  test("HttpEdge: forwarded values that are not sound are passed over", async () => {
    const lines = ["GET / HTTP/1.1", "Host: inner", "X-Forwarded-For: me", "X-Forwarded-Proto: gopher"];
    const answer = await mirrored([...lines, "X-Forwarded-Host: a/b"], { trustProxy: true });
    expect(answer).toMatchObject({ address: "127.0.0.1", host: "inner", scheme: "http" });
  });

  test("HttpEdge: the signal aborts when the client goes", async () => {
    const waiting = deferred<Exchange>();
    const { publicUrl } = await serve(
      faceOf(async (exchange) => {
        const aborted = new Promise((resolve) => exchange.signal.addEventListener("abort", resolve));
        waiting.resolve(exchange);
        await aborted;
      }),
    );
    const client = rawHttp(publicUrl, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const { signal } = await waiting.promise;
    expect(signal.aborted).toBe(false);
    client[Symbol.dispose]();
    await vi.waitFor(() => expect(signal.aborted).toBe(true), PATIENTLY);
  });

  test("HttpEdge: of pipelined waits none goes on when the client has gone", async () => {
    const signals: AbortSignal[] = [];
    const { publicUrl } = await serve(
      faceOf(async ({ signal }) => {
        signals.push(signal);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      }),
    );
    const client = rawHttp(publicUrl, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50));
    await vi.waitFor(() => expect(signals.length).toBeGreaterThan(0), PATIENTLY);
    client[Symbol.dispose]();
    await vi.waitFor(() => expect(signals.filter((signal) => !signal.aborted)).toEqual([]), PATIENTLY);
  });

  test("HttpEdge: the signal does not abort once the answer is through", async () => {
    const seen: AbortSignal[] = [];
    const { publicUrl } = await serve(
      faceOf(async ({ signal, response }) => {
        seen.push(signal);
        response.end("done");
      }),
    );
    await rawRequest(publicUrl, ["GET / HTTP/1.1", "Host: a"]);
    expect(seen.map(({ aborted }) => aborted)).toEqual([false]);
  });
});

describe("HttpEdge: faces and their errors", () => {
  test("HttpEdge: the first face that claims a path answers; where none does, 404 in Go's words", async () => {
    const answers =
      (text: string) =>
      async ({ response }: Exchange) =>
        void response.end(text);
    running = await startTestService({
      publicFaces: [
        faceOf(answers("first"), (path) => path === "/a"),
        faceOf(answers("second"), (path) => path.startsWith("/a")),
      ],
    });
    const { publicUrl } = running;
    expect(await (await fetch(`${publicUrl}/a`)).text()).toBe("first");
    expect(await (await fetch(`${publicUrl}/ab`)).text()).toBe("second");
    const none = await fetch(`${publicUrl}/b`);
    expect([none.status, none.headers.get("content-type"), await none.text()]).toEqual([
      404,
      "text/plain; charset=utf-8",
      "404 page not found\n",
    ]);
  });

  test.each([
    ["storeUnavailable", 503],
    ["closed", 503],
    ["contention", 503],
    ["invalidArgument", 400],
    ["tooLarge", 413],
    ["nodeNotFound", 404],
  ] as const)("HttpEdge: %s is answered %d with its message", async (code, status) => {
    const { publicUrl } = await serve(faceOf(() => Promise.reject(new MusterError(code, "Do this: it is so"))));
    const answer = await fetch(publicUrl);
    expect([answer.status, await answer.text()]).toEqual([status, "Do this: it is so\n"]);
  });

  test.each([new Error("secret state"), new MusterError("internal", "secret state"), "secret state"])(
    "HttpEdge: a defect (%s) is answered 500 without its message, which is logged",
    async (defect) => {
      const { publicUrl, log } = await serve(faceOf(() => Promise.reject(defect)));
      const answer = await fetch(`${publicUrl}/${TOKEN}`);
      expect([answer.status, await answer.text()]).toEqual([500, "Internal Server Error\n"]);
      expect(log()).toContain("secret state");
      expect(log()).not.toContain(TOKEN);
    },
  );

  test("HttpEdge: a face that throws at once, not by its promise, is answered for as well", async () => {
    const { publicUrl } = await serve({
      name: "broken",
      claims: () => true,
      handle: () => {
        throw new Error("at once");
      },
    });
    expect((await fetch(publicUrl)).status).toBe(500);
  });

  test("HttpEdge: an error after the answer began cuts the connection off", async () => {
    const { publicUrl } = await serve(
      faceOf(async ({ response }) => {
        response.writeHead(200, { "Content-Length": 10 });
        response.write("half");
        throw new Error("then nothing");
      }),
    );
    await expect(fetch(publicUrl).then((answer) => answer.text())).rejects.toThrow();
  });

  test("HttpEdge: a face that does not answer is answered for", async () => {
    const { publicUrl, log } = await serve(faceOf(() => Promise.resolve()));
    expect((await fetch(publicUrl)).status).toBe(500);
    expect(log()).toContain("did not answer");
  });

  test("HttpEdge: faces are told the largest body to take", async () => {
    const seen: unknown[] = [];
    const face = faceOf(async ({ response, maxBodyBytes }) => {
      seen.push(maxBodyBytes);
      response.end();
    });
    const { publicUrl } = await serve(face, { maxRequestBytes: 2_048 });
    await fetch(publicUrl);
    expect(seen).toEqual([2_048]);
  });

  test("HttpEdge: requests are logged at debug, without whole tokens", async () => {
    const { publicUrl, log } = await serve(mirror);
    await (await fetch(`${publicUrl}/${TOKEN}/abc?wait=true`)).text();
    await vi.waitFor(() => expect(log()).toContain('"path":"/6d1c2e9f0a3b…/abc"'), PATIENTLY);
    expect(log()).toContain('"status":200');
    expect(log()).not.toContain(TOKEN);
  });
});

describe("HttpEdge: stopping", () => {
  test("HttpEdge: a wait that began ends, and is answered 503 where its face says nothing", async () => {
    const begun = deferred<void>();
    const { service, publicUrl } = await serve(waitingFace(begun.resolve));
    const answer = rawHttp(publicUrl, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").closed;
    await begun.promise;
    const start = performance.now();
    await service.stop();
    expect(performance.now() - start).toBeLessThan(STOP_DEADLINE_MS);
    expect(await answer).toMatch(
      /^HTTP\/1\.1 503 [\s\S]*Connection: close\r\n[\s\S]*Try again: the service is stopping\n$/,
    );
  });
});
