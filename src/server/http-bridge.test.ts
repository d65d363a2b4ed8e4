import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { afterEach, describe, expect, test } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { faceOf, startTestService, type TestService } from "../../test/support/test-service.ts";

const MEBIBYTE = 1024 * 1024;
const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

let running: TestService | undefined;
const sessions: ClientHttp2Session[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await running?.[Symbol.asyncDispose]();
  running = undefined;
});

/** A client of a server whose requests are answered by `handle`. */
async function serve(handle: Parameters<typeof faceOf>[0]): Promise<ClientHttp2Session> {
  running = await startTestService({ publicFaces: [faceOf(handle)] });
  const session = connect(running.publicUrl);
  session.on("error", () => undefined);
  sessions.push(session);
  return session;
}

interface Answer {
  readonly status: unknown;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  /** How the stream ended, as HTTP/2's error codes. */
  readonly code: number | undefined;
}

async function read(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: Record<string, unknown> = {};
  let body = "";
  stream
    .on("error", () => undefined)
    .on("response", (given) => {
      headers = given;
    });
  stream.setEncoding("utf8").on("data", (piece: string) => {
    body += piece;
  });
  await new Promise((resolve) => stream.once("close", resolve));
  return { status: headers[":status"], headers, body, code: stream.rstCode };
}

describe("HttpBridge: answers", () => {
  test("HttpBridge: those without a body end with their headers", async () => {
    const session = await serve(async ({ request, response, path }) => {
      const status = path === "/" ? 200 : Number(path.slice(1));
      response.writeHead(status, status === 204 ? {} : { "Content-Length": 5, ETag: '"a"' });
      response.end(request.method === "HEAD" ? undefined : "12345");
    });
    const ask = async (method: string, path: string) => {
      const stream = session.request({ ":method": method, ":path": path });
      const answer = read(stream);
      const [, flags] = await once(stream, "response");
      const { status, headers, body, code } = await answer;
      const isWhole = (Number(flags) & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      return { status, length: headers["content-length"], etag: headers.etag, body, code, isWhole };
    };
    const shared = { length: "5", etag: '"a"', code: NGHTTP2_NO_ERROR };
    expect(await ask("GET", "/")).toEqual({ ...shared, status: 200, body: "12345", isWhole: false });
    expect(await ask("HEAD", "/")).toEqual({ ...shared, status: 200, body: "", isWhole: true });
    expect(await ask("GET", "/304")).toEqual({ ...shared, status: 304, body: "", isWhole: true });
    expect(await ask("GET", "/204")).toMatchObject({ status: 204, body: "", code: NGHTTP2_NO_ERROR, isWhole: true });
  });

  test("HttpBridge: headers of the connection stay behind, of several values each is given", async () => {
    const session = await serve(async ({ response }) => {
      response.setHeader("Set-Cookie", ["a=1", "b=2"]).setHeader("Connection", "close").setHeader("X-Latin", "caf\xe9");
      // Of a text Node makes one text with the headers, and UTF-8 of both.
      response.end(Buffer.from("x"));
    });
    const { headers } = await read(session.request({ ":path": "/" }));
    expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(headers["x-latin"]).toBe("caf\xe9");
    expect(headers.connection).toBeUndefined();
    expect(headers["transfer-encoding"]).toBeUndefined();
  });

  test.each([
    ["before", false],
    ["after", true],
  ])(
    "HttpBridge: an answer that breaks off %s it has begun ends in an error, and the connection lives on",
    async (_when, begins) => {
      const session = await serve(async ({ response, path }) => {
        if (path === "/whole") {
          response.end("whole");
          return;
        }
        if (begins) {
          response.writeHead(200, { "Content-Length": 100 });
          await new Promise((resolve) => response.write("half", resolve));
        }
        response.destroy();
      });
      const { status, code } = await read(session.request({ ":path": "/half" }));
      expect({ status, code }).toEqual({ status: begins ? 200 : undefined, code: NGHTTP2_INTERNAL_ERROR });
      expect((await read(session.request({ ":path": "/whole" }))).body).toBe("whole");
    },
  );

  test.each([
    ["in chunks", (_response: ServerResponse) => undefined],
    ["of a length", (response: ServerResponse) => void response.setHeader("Content-Length", MEBIBYTE)],
    [
      "without a length",
      (response: ServerResponse) => {
        response.setHeader("Connection", "close").removeHeader("Transfer-Encoding");
        response.useChunkedEncodingByDefault = false;
      },
    ],
  ])("HttpBridge: an answer %s that is cut before its end resets its stream", async (_title, begin) => {
    const session = await serve(async ({ response, path }) => {
      if (path === "/whole") {
        response.end("whole");
        return;
      }
      begin(response);
      await new Promise((resolve) => response.write("a".repeat(1_000), resolve));
      response.destroy();
    });
    expect((await read(session.request({ ":path": "/cut" }))).code).toBe(NGHTTP2_INTERNAL_ERROR);
    expect((await read(session.request({ ":path": "/whole" }))).body).toBe("whole");
  });

  test("HttpBridge: an answer that its client does not read and that is cut resets its stream", async () => {
    const session = await serve(async ({ response }) => {
      while (response.write(Buffer.alloc(MEBIBYTE / 4, "a")));
      // Much of it waits for the client's window.
      await new Promise((resolve) => setImmediate(resolve));
      response.destroy();
    });
    const stream = session.request({ ":path": "/" });
    await once(stream, "response");
    expect((await read(stream)).code).toBe(NGHTTP2_INTERNAL_ERROR);
  });

  test("HttpBridge: an answer that its client does not read is held back, and then whole", async () => {
    let written = 0;
    const session = await serve(async ({ response }) => {
      for (; written < 64; written++) {
        if (!response.write(Buffer.alloc(MEBIBYTE / 4, "a"))) await once(response, "drain");
      }
      response.end();
    });
    const stream = session.request({ ":path": "/" });
    await once(stream, "response");
    let before = -1;
    while (before !== written) {
      before = written;
      for (let round = 0; round < 5; round++) await new Promise((resolve) => session.ping(resolve));
    }
    expect(written).toBeLessThan(32);
    expect((await read(stream)).body).toHaveLength(16 * MEBIBYTE);
  });
});

describe("HttpBridge: requests", () => {
  test("HttpBridge: a body that nobody reads is held back from its client, and then comes whole", async () => {
    const release = deferred<void>();
    const session = await serve(async ({ request, response }) => {
      await release.promise;
      let bytes = 0;
      for await (const piece of request) bytes += Buffer.byteLength(piece);
      response.end(`${bytes}`);
    });
    const stream = session.request({ ":method": "PUT", ":path": "/" });
    const answer = read(stream);
    let left = 0;
    const piece = Buffer.alloc(MEBIBYTE / 16);
    const sendOn = (): void => {
      if (left === 256) stream.end();
      else
        stream.write(piece, () => {
          left++;
          sendOn();
        });
    };
    sendOn();
    await expect.poll(() => left).toBeGreaterThan(0);
    let before = -1;
    while (before !== left) {
      before = left;
      for (let round = 0; round < 5; round++) await new Promise((resolve) => session.ping(resolve));
    }
    expect(left).toBeLessThan(128);
    release.resolve();
    expect((await answer).body).toBe(`${16 * MEBIBYTE}`);
  });

  test("HttpBridge: who is answered before the body has come is given the answer", async () => {
    const session = await serve(async ({ response }) => {
      response.writeHead(413).end("too large");
    });
    const stream = session.request({ ":method": "PUT", ":path": "/" });
    const answer = read(stream);
    stream.write(Buffer.alloc(MEBIBYTE));
    const { status, body, code } = await answer;
    expect({ status, body, code }).toEqual({ status: 413, body: "too large", code: NGHTTP2_NO_ERROR });
  });

  test.each(["GET", "DELETE", "PUT"])(
    "HttpBridge: the body of a %s is not taken for another request",
    async (method) => {
      const seen: string[] = [];
      const session = await serve(async ({ request, response, path }) => {
        seen.push(`${request.method} ${path}`);
        let body = "";
        for await (const piece of request) body += piece;
        response.end(body);
      });
      const hidden = "GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
      const stream = session.request({ ":method": method, ":path": "/" }, { endStream: false });
      const answer = read(stream);
      stream.end(hidden);
      expect((await answer).body).toBe(hidden);
      expect((await read(session.request({ ":path": "/next" }))).status).toBe(200);
      expect(seen).toEqual([`${method} /`, "GET /next"]);
    },
  );

  test("HttpBridge: what HTTP/1.1 cannot carry is refused, and the connection lives on", async () => {
    const session = await serve(async ({ response, path }) => {
      response.end(path);
    });
    expect((await read(session.request({ ":path": "/", "x-a": "a\u0001b" }))).status).toBe(400);
    expect((await read(session.request({ ":path": "/a b" }))).status).toBe(400);
    expect(await read(session.request({ ":path": "/c" }))).toMatchObject({ status: 200, body: "/c" });
  });

  test.each(["GET", "PUT"])(
    "HttpBridge: a %s that says which trailers it will have is answered, and other calls live on",
    async (method) => {
      const release = deferred<void>();
      const session = await serve(async ({ request, response, path }) => {
        if (path === "/other") await release.promise;
        let body = "";
        for await (const piece of request) body += piece;
        response.end(`${path} ${body}`);
      });
      const other = read(session.request({ ":path": "/other" }));
      const hasBody = method === "PUT";
      const stream = session.request({ ":method": method, ":path": "/", trailer: "x-late" }, { endStream: !hasBody });
      const answer = read(stream);
      if (hasBody) stream.end("b");
      expect(await answer).toMatchObject({ status: 200, body: hasBody ? "/ b" : "/ " });
      release.resolve();
      expect(await other).toMatchObject({ status: 200, body: "/other " });
    },
  );

  test.each(["get", "Put", "gET"])("HttpBridge: %s is no method that anybody has", async (method) => {
    const seen: string[] = [];
    const session = await serve(async ({ request, response, path }) => {
      seen.push(`${request.method} ${path}`);
      response.end();
    });
    const asked = session.request({ ":method": method, ":path": "/" }, { endStream: true });
    expect((await read(asked)).status).toBe(405);
    expect((await read(session.request({ ":path": "/next" }))).status).toBe(200);
    expect(seen).toEqual(["GET /next"]);
  });

  test("HttpBridge: trailers of a request are dropped", async () => {
    const session = await serve(async ({ request, response }) => {
      let body = "";
      for await (const piece of request) body += piece;
      response.end(`${body} ${JSON.stringify(request.trailers)}`);
    });
    const stream = session.request({ ":method": "PUT", ":path": "/" }, { waitForTrailers: true, endStream: false });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-late": "1" }));
    const answer = read(stream);
    stream.end("b");
    expect((await answer).body).toBe("b {}");
  });
});
