import { afterAll, beforeAll, expect, it } from "vitest";
import * as z from "zod";
import { V2_BODY_BYTES } from "../../src/base/limits.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { rawHttp } from "../support/raw-http.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const HOST = "Host: 127.0.0.1";
const FORM = "Content-Type: application/x-www-form-urlencoded";
const LENGTH = "Content-Length: 7";
const CHUNKED = "Transfer-Encoding: chunked";
const H2C = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"];
const GARBAGE = "\x01garbage\r\n\r\n";

function request(line: string, headers: readonly string[], body = ""): string {
  return [line, HOST, ...headers, "", body].join("\r\n");
}

function put(path: string, headers: readonly string[], body = "value=x"): string {
  return request(`PUT /v2/keys${path} HTTP/1.1`, headers, body);
}

const GET = request("GET /v2/keys/none HTTP/1.1", []);
/** Asks for the connection's end, so that all that is to come is known to have come. */
const LAST = request("GET /version HTTP/1.1", ["Connection: close"]);

/** What is sent, and what a real etcd answers to it: statuses, in their order, until the connection is closed. */
const CASES: readonly { readonly what: string; readonly sent: string; readonly statuses: readonly number[] }[] = [
  {
    what: "HTTP/1.0 without a Host",
    sent: "PUT /v2/keys/old HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nvalue=x",
    statuses: [201],
  },
  {
    what: "HTTP/1.0 that keeps the connection",
    sent: request("GET /v2/keys/none HTTP/1.0", ["Connection: keep-alive"]) + LAST,
    statuses: [404, 200],
  },
  { what: "HTTP/1.1 without a Host", sent: "GET /v2/keys/ HTTP/1.1\r\n\r\n", statuses: [400] },
  { what: "a body of no type", sent: put("/untyped", [LENGTH]) + LAST, statuses: [201, 200] },
  {
    what: "a body of plain text",
    sent: put("/plain", ["Content-Type: text/plain", LENGTH]) + LAST,
    statuses: [201, 200],
  },
  {
    what: "a body of JSON",
    sent: put("/json", ["Content-Type: application/json", "Content-Length: 13"], '{"value":"x"}') + LAST,
    statuses: [201, 200],
  },
  {
    what: "two types, the first of which counts",
    sent: put("/typed-twice", ["Content-Type: text/plain", FORM, LENGTH]) + LAST,
    statuses: [201, 200],
  },
  {
    what: "a form that says that it is compressed",
    sent: put("/compressed", [FORM, "Content-Encoding: gzip", LENGTH]) + LAST,
    statuses: [201, 200],
  },
  { what: "no length: no body", sent: put("/no-length", [FORM], "") + LAST, statuses: [201, 200] },
  {
    what: "a form with a GET",
    sent: request("GET /v2/keys/none HTTP/1.1", [FORM, "Content-Length: 9"], "wait=true") + LAST,
    statuses: [404, 200],
  },
  {
    what: "chunks with extensions and a trailer",
    sent: `${put("/chunks", [FORM, CHUNKED], "7;a=b\r\nvalue=x\r\n0\r\nX: y\r\n\r\n")}${LAST}`,
    statuses: [201, 200],
  },
  {
    what: "a client that would rather speak HTTP/2",
    sent: put("/upgrade", [FORM, LENGTH, ...H2C]),
    statuses: [201],
  },
  { what: "an expectation that nobody knows", sent: put("/wonders", ["Expect: wonders"], ""), statuses: [417] },
  { what: "a length with a sign", sent: put("/signed", [FORM, "Content-Length: +7"]), statuses: [400] },
  {
    what: "a length beyond all numbers",
    sent: put("/long", [FORM, `Content-Length: ${"9".repeat(30)}`]),
    statuses: [400],
  },
  {
    what: "a chunk whose size is none",
    sent: put("/chunk", [FORM, CHUNKED], "7\r\nvalue=x\r\nzz\r\n"),
    statuses: [400],
  },
  { what: "a space before a header's colon", sent: request("GET / HTTP/1.1", ["X : y"]), statuses: [400] },
  { what: "byte 0 in a header", sent: request("GET / HTTP/1.1", ["X: \0"]), statuses: [400] },
  { what: "headers of 2 MB", sent: `${GET.slice(0, -2)}X: ${"x".repeat(2_000_000)}\r\n\r\n`, statuses: [431] },
  { what: "garbage behind a read", sent: GET + GARBAGE, statuses: [404, 400] },
  { what: "garbage behind a write", sent: put("/garbage", [FORM, LENGTH]) + GARBAGE, statuses: [201, 400] },
  {
    what: "a body longer than its length",
    sent: put("/longer", [FORM, LENGTH], "value=xyz\r\n\r\n"),
    statuses: [201, 400],
  },
  { what: "CONNECT", sent: request("CONNECT /v2/keys/none HTTP/1.1", ["Connection: close"]), statuses: [405] },
];

function statusesIn(received: string): readonly number[] {
  return [...received.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => Number(status));
}

/** Some cases leave the connection open where nothing is wrong: as many answers as are expected are waited for. */
async function answers(url: string, sent: string, count: number): Promise<readonly number[]> {
  using connection = rawHttp(url, sent);
  const enough = connection.received(new RegExp(`(?:HTTP/1\\.[01] \\d{3}[\\s\\S]*){${count}}`));
  return statusesIn(await Promise.race([enough, connection.closed]));
}

const listing = z.object({ node: z.object({ nodes: z.array(z.object({ key: z.string(), value: z.string() })) }) });

async function keysIn(url: string): Promise<unknown> {
  const answer = await fetch(`${url}/v2/keys/?recursive=true&sorted=true`);
  return listing.parse(await answer.json()).node.nodes.map(({ key, value }) => [key, value]);
}

await describeWithEtcd("connections, as a real etcd has them", (binaries) => {
  let etcd: EtcdServer | undefined;
  let muster: MusterProcess | undefined;
  beforeAll(async () => {
    [etcd, muster] = await Promise.all([
      startEtcd(binaries, ["--enable-v2=true"]),
      MusterProcess.start({ quiet: true }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([etcd?.stop(), muster?.stop()]);
  });

  it.each(CASES)("v2: $what", async ({ sent, statuses }) => {
    expect(await answers(etcd?.clientUrl ?? "", sent, statuses.length), "etcd").toEqual(statuses);
    expect(await answers(muster?.clientUrl ?? "", sent, statuses.length), "Muster").toEqual(statuses);
  });

  it("v2: all of these store the same", async () => {
    expect(await keysIn(muster?.clientUrl ?? "")).toEqual(await keysIn(etcd?.clientUrl ?? ""));
  });

  it("v2: a body over the limit that waits for leave to be sent is refused, and the connection goes on", async () => {
    const sent = put("/large", [FORM, "Expect: 100-continue", `Content-Length: ${V2_BODY_BYTES + 1}`], "");
    using connection = rawHttp(muster?.clientUrl ?? "", sent);
    await connection.received(/413 Payload Too Large[\s\S]*\n$/);
    connection.send("x".repeat(V2_BODY_BYTES + 1) + LAST);
    expect(statusesIn(await connection.closed)).toEqual([100, 413, 200]);
    expect((await fetch(`${muster?.clientUrl}/v2/keys/large`)).status).toBe(404);
  });
});
