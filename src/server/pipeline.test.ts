import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type RawConnection, rawHttp } from "../../test/support/raw-http.ts";
import { PATIENTLY } from "../../test/support/until.ts";
import { MAX_PIPELINED_REQUESTS } from "../base/limits.ts";
import { Pipeline } from "./pipeline.ts";

/** Longer than any test takes: it ends only where a test moves the time. */
const PATIENCE_MS = 3_600_000;

let stop: () => void = () => undefined;
afterEach(() => {
  vi.useRealTimers();
  stop();
});

async function serve(handle: RequestListener, patienceMs?: number): Promise<string> {
  const pipeline = new Pipeline({ handle, ...(patienceMs === undefined ? {} : { patienceMs }) });
  const server = createServer(pipeline.take);
  stop = () => {
    server.close();
    server.closeAllConnections();
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function get(...paths: readonly string[]): string {
  return paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join("");
}

/** Keeps every answer back until it is asked for. */
async function serveByHand(patienceMs?: number) {
  const begun: string[] = [];
  const answers: ServerResponse[] = [];
  const url = await serve((request, response) => {
    begun.push(request.url ?? "");
    answers.push(response);
  }, patienceMs);
  return { url, begun, answer: () => answers.at(-1)?.end(`<${begun.at(-1)}>`) };
}

async function told(connection: RawConnection, begun: readonly string[], count: number): Promise<void> {
  await vi.waitFor(() => expect(begun).toHaveLength(count), PATIENTLY);
  expect(await Promise.race([connection.closed, "open"])).toBe("open");
}

describe("Pipeline.take", () => {
  test("Pipeline.take: a request is begun when the one before it has been answered, in order", async () => {
    const { url, begun, answer } = await serveByHand();
    using client = rawHttp(url, get("/1", "/2", "/3"));
    await told(client, begun, 1);
    answer();
    await client.received(/<\/1>/);
    await told(client, begun, 2);
    void client.send(get("/4"));
    answer();
    await told(client, begun, 3);
    answer();
    await told(client, begun, 4);
    answer();
    expect(await client.received(/<\/1>[\s\S]*<\/2>[\s\S]*<\/3>[\s\S]*<\/4>/)).toContain("200 OK");
    expect(begun).toEqual(["/1", "/2", "/3", "/4"]);
  });

  test("Pipeline.take: bodies arrive with their requests, however much is read before their turn", async () => {
    const body = "x".repeat(200_000);
    const url = await serve(async (request, response) => {
      let length = 0;
      for await (const chunk of request) length += chunk.length;
      response.end(`<${request.url} ${length}>`);
    });
    const put = (path: string) => `PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    using client = rawHttp(url, put("/1") + put("/2") + put("/3"));
    await client.received(/<\/1 200000>[\s\S]*<\/2 200000>[\s\S]*<\/3 200000>/);
  });

  test("Pipeline.take: what has not been begun when the client goes never is", async () => {
    const { url, begun, answer } = await serveByHand();
    const client = rawHttp(url, get("/1", "/2"));
    await told(client, begun, 1);
    client[Symbol.dispose]();
    await client.closed;
    answer();
    expect(begun).toEqual(["/1"]);
  });

  test("Pipeline.take: so many may wait for their turn, and one more ends the connection", async () => {
    const { url, begun } = await serveByHand();
    const most = Array.from({ length: MAX_PIPELINED_REQUESTS }, () => "/queued");
    using fits = rawHttp(url, get("/1", ...most));
    await told(fits, begun, 1);
    expect(await rawHttp(url, get("/1", ...most, "/one-more")).closed).toBe("");
    await told(fits, begun, 2);
  });

  test("Pipeline.take: those that had their turn do not count any more", async () => {
    const url = await serve((request, response) => void response.end(`<${request.url}>`));
    const many = Array.from({ length: MAX_PIPELINED_REQUESTS }, () => "/x");
    using client = rawHttp(url, get(...many, "/first"));
    await client.received(/<\/first>/);
    void client.send(get(...many, "/second"));
    await client.received(/<\/second>/);
  });

  test("Pipeline.take: nothing waits long behind a wait: its body may keep from us that the client has gone", async () => {
    const { url, begun } = await serveByHand(50);
    expect(await rawHttp(url, get("/wait", "/behind")).closed).toBe("");
    expect(begun).toEqual(["/wait"]);
  });

  test("Pipeline.take: a request that had its turn in time is not cut off later", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { url, begun, answer } = await serveByHand(PATIENCE_MS);
    using client = rawHttp(url, get("/1", "/2"));
    await told(client, begun, 1);
    answer();
    await told(client, begun, 2);
    await vi.advanceTimersByTimeAsync(2 * PATIENCE_MS);
    answer();
    await client.received(/<\/2>/);
  });
});
