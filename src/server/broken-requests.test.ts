import { afterEach, describe, expect, test } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { rawHttp } from "../../test/support/raw-http.ts";
import { faceOf, startTestService, type TestService } from "../../test/support/test-service.ts";
import { MAX_CLIENT_HEADER_BYTES } from "../base/limits.ts";
import type { Exchange } from "../faces/face.ts";

const GET = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const PUT = "PUT /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
const GARBAGE = "\x01garbage\r\n\r\n";

let running: TestService | undefined;
afterEach(async () => {
  await running?.service.stop();
  running = undefined;
});

async function serve(handle: (exchange: Exchange) => Promise<void>): Promise<string> {
  running = await startTestService({ clientFaces: [faceOf(handle)] });
  return running.clientUrl;
}

async function answerPath({ path, response }: Exchange): Promise<void> {
  response.end(`answer to ${path}`);
}

/** The statuses of all answers, in their order. */
function statuses(received: string): readonly string[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? "");
}

describe("BrokenRequests", () => {
  test("BrokenRequests: what is no HTTP is told so, in a line that says what to do", async () => {
    const url = await serve(answerPath);
    expect(await rawHttp(url, GARBAGE).closed).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*Connection: close\r\n\r\n400 Bad Request: Send requests of HTTP\/1\.1 \(.+\)\n$/,
    );
  });

  test.each(["get", "FOO", "Put"])(
    "BrokenRequests: a method that the parser does not know (%s) is 405",
    async (method) => {
      const url = await serve(answerPath);
      const received = await rawHttp(url, GET + GET.replace("GET", method)).closed;
      expect(received).toMatch(
        /\r\n\r\nanswer to \/aHTTP\/1\.1 405 Method Not Allowed\r\n[\s\S]*\r\nAllow: HEAD,GET,PUT,/,
      );
    },
  );

  test("BrokenRequests: requests before it are answered first, as if it had not come", async () => {
    const url = await serve(answerPath);
    const received = await rawHttp(url, GET + GET + GARBAGE).closed;
    expect(statuses(received)).toEqual(["200", "200", "400"]);
    expect(received.split("answer to /a")).toHaveLength(3);
  });

  test("BrokenRequests: it waits for an answer that takes its time", async () => {
    const begun = deferred();
    const go = deferred();
    const url = await serve(async (exchange) => {
      begun.resolve();
      await go.promise;
      await answerPath(exchange);
    });
    using connection = rawHttp(url, GET + GARBAGE);
    await begun.promise;
    connection.send(GARBAGE);
    go.resolve();
    expect(statuses(await connection.closed)).toEqual(["200", "400"]);
  });

  test("BrokenRequests: after an answer it is answered at once", async () => {
    const url = await serve(answerPath);
    using connection = rawHttp(url, GET);
    await connection.received(/answer to \/a/);
    connection.send(GARBAGE);
    expect(statuses(await connection.closed)).toEqual(["200", "400"]);
  });

  test("BrokenRequests: a body that is broken is refused in its turn, and its face gets no more of it", async () => {
    const ended = deferred<string>();
    const url = await serve(async (exchange) => {
      if (exchange.path === "/a") return answerPath(exchange);
      try {
        for await (const _chunk of exchange.request);
        ended.resolve("whole");
      } catch {
        ended.resolve("broken");
      }
    });
    const received = await rawHttp(url, `${GET}${PUT}7\r\nvalue=x\r\nzz\r\n\r\n`).closed;
    expect(statuses(received)).toEqual(["200", "400"]);
    expect(await ended.promise).toBe("broken");
  });

  test("BrokenRequests: a body that is broken behind the answer to it gets no second one", async () => {
    const url = await serve(async (exchange) => {
      exchange.request.resume();
      await answerPath(exchange);
    });
    using connection = rawHttp(url, PUT);
    await connection.received(/answer to \/b/);
    connection.send("zz\r\n");
    expect(statuses(await connection.closed)).toHaveLength(1);
  });

  test("BrokenRequests: CONNECT is answered 405, behind what came before", async () => {
    const url = await serve(answerPath);
    const received = await rawHttp(url, `${GET}CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n`).closed;
    expect(statuses(received)).toEqual(["200", "405"]);
  });

  test("BrokenRequests: too much of headers is told with the limit", async () => {
    const url = await serve(answerPath);
    const received = await rawHttp(url, `${GET}GET / HTTP/1.1\r\nX: ${"x".repeat(100_000)}\r\n\r\n`).closed;
    expect(statuses(received)).toEqual(["200", "431"]);
    expect(received).toContain(`Send at most ${MAX_CLIENT_HEADER_BYTES} bytes of URL and headers`);
  });

  test("BrokenRequests: clients may send more of headers than others may on the public listener", async () => {
    const face = faceOf(answerPath);
    running = await startTestService({ clientFaces: [face], publicFaces: [face] });
    const { clientUrl, publicUrl } = running;
    const long = `GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: ${"x".repeat(60_000)}\r\n\r\n`;
    expect(statuses(await rawHttp(clientUrl, long).closed)).toEqual(["200"]);
    expect(statuses(await rawHttp(publicUrl, long).closed)).toEqual(["431"]);
  });
});
