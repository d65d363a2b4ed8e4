import { afterAll, beforeAll, expect, it } from "vitest";
import { MAX_CLIENT_HEADER_BYTES, MAX_FORM_FIELDS, MAX_KEY_BYTES, V2_BODY_BYTES } from "../../src/base/limits.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { rawHttp } from "../support/raw-http.ts";

const FORM = "Content-Type: application/x-www-form-urlencoded";
const HOST = "Host: 127.0.0.1";
const WAIT_MS = 60_000;

interface Case {
  readonly what: string;
  /** The request, its lines joined by CRLF. */
  readonly sent: string;
  readonly status: number;
  /** What the answer says. */
  readonly says: RegExp;
}

function request(line: string, headers: readonly string[], body = ""): string {
  return [line, HOST, ...headers, "", body].join("\r\n");
}

function put(form: string, path = "/v2/keys/k"): string {
  return request(`PUT ${path} HTTP/1.1`, [FORM, `Content-Length: ${Buffer.byteLength(form)}`], form);
}

function chunked(form: string): string {
  const size = Buffer.byteLength(form).toString(16);
  return request("PUT /v2/keys/k HTTP/1.1", [FORM, "Transfer-Encoding: chunked"], `${size}\r\n${form}\r\n0\r\n\r\n`);
}

const TOO_LARGE = `value=${"x".repeat(V2_BODY_BYTES)}`;

/** Refused, and the connection goes on. */
const REFUSED: readonly Case[] = [
  { what: "a body over the limit", sent: put(TOO_LARGE), status: 413, says: /Send at most 1572864 bytes/ },
  { what: "a chunked body over the limit", sent: chunked(TOO_LARGE), status: 413, says: /Send at most 1572864 bytes/ },
  {
    what: "a key too long",
    sent: put("value=x", `/v2/keys/${"k".repeat(MAX_KEY_BYTES)}`),
    status: 400,
    says: /Use a shorter path/,
  },
  {
    what: "too many fields",
    sent: put("a=1&".repeat(MAX_FORM_FIELDS + 1)),
    status: 400,
    says: /"errorCode":210.*fields/,
  },
  {
    what: "a broken percent sign in the body",
    sent: put("value=%4"),
    status: 400,
    says: /"errorCode":210,.*invalid URL escape/,
  },
  {
    what: "a broken percent sign in the query",
    sent: put("value=x", "/v2/keys/k?a=%"),
    status: 400,
    says: /"errorCode":210/,
  },
  {
    what: "a broken percent sign in the path",
    sent: put("value=x", "/v2/keys/k%zz"),
    status: 400,
    says: /Write percent signs as %25/,
  },
  { what: "a bare semicolon", sent: put("value=a;b"), status: 400, says: /invalid semicolon separator/ },
  {
    what: "a Content-Type that is none",
    sent: request("PUT /v2/keys/k HTTP/1.1", ["Content-Type: text/", "Content-Length: 7"], "value=x"),
    status: 400,
    says: /"errorCode":210,.*mime: expected token after slash/,
  },
  { what: "a ttl that is no number", sent: put("value=x&ttl=1h"), status: 400, says: /"errorCode":202/ },
  {
    what: "a method of nobody's",
    sent: request("PATCH /v2/keys/k HTTP/1.1", ["Content-Length: 0"]),
    status: 405,
    says: /Allow: /,
  },
];

/** No HTTP, or more of it than is taken: refused, and the connection is closed, for nobody knows where the next request begins. */
const CUT_OFF: readonly Case[] = [
  {
    what: "a length and chunks",
    sent: request(
      "PUT /v2/keys/k HTTP/1.1",
      [FORM, "Content-Length: 7", "Transfer-Encoding: chunked"],
      "7\r\nvalue=x\r\n0\r\n\r\n",
    ),
    status: 400,
    says: /./,
  },
  {
    what: "two lengths",
    sent: request("PUT /v2/keys/k HTTP/1.1", [FORM, "Content-Length: 7", "Content-Length: 8"], "value=x"),
    status: 400,
    says: /./,
  },
  {
    what: "a length that is none",
    sent: request("PUT /v2/keys/k HTTP/1.1", [FORM, "Content-Length: -7"], "value=x"),
    status: 400,
    says: /./,
  },
  { what: "a header without a colon", sent: request("GET /v2/keys/k HTTP/1.1", ["no header"]), status: 400, says: /./ },
  {
    what: "headers over the limit",
    sent: request("GET /v2/keys/k HTTP/1.1", [`X: ${"x".repeat(2 * MAX_CLIENT_HEADER_BYTES)}`]),
    status: 431,
    says: /./,
  },
  {
    what: "a query over that limit",
    sent: request(`GET /v2/keys/k?value=${"x".repeat(2 * MAX_CLIENT_HEADER_BYTES)} HTTP/1.1`, []),
    status: 431,
    says: /./,
  },
  { what: "no request at all", sent: "hello\r\n\r\n", status: 400, says: /./ },
];

let muster: MusterProcess | undefined;
beforeAll(async () => {
  muster = await MusterProcess.start({ quiet: true });
});
afterAll(() => muster?.stop());

function url(): string {
  if (muster === undefined) throw new Error("muster was not started");
  return muster.clientUrl;
}

/** All that is stored, and the index, which every write moves. */
async function stored(): Promise<string> {
  const answer = await fetch(`${url()}/v2/keys/?recursive=true`);
  return `${answer.headers.get("x-etcd-index")} ${await answer.text()}`;
}

const NEXT = request("GET /v2/keys/next HTTP/1.1", []);

it.each(REFUSED)(
  "v2: $what is refused, stores nothing, and the connection goes on",
  async ({ sent, status, says }) => {
    const before = await stored();
    using connection = rawHttp(url(), sent);
    const answer = await connection.received(/^HTTP[\s\S]*?\r\n\r\n[\s\S]+\n$/);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(says);
    connection.send(NEXT);
    await connection.received(/HTTP\/1\.1 404 [\s\S]*"cause":"\/next"/);
    expect(await stored()).toBe(before);
  },
  WAIT_MS,
);

it.each(CUT_OFF)(
  "v2: $what is refused, stores nothing, and the connection ends",
  async ({ sent, status, says }) => {
    const before = await stored();
    using connection = rawHttp(url(), sent);
    const answer = await connection.closed;
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(says);
    expect(await stored()).toBe(before);
  },
  WAIT_MS,
);

it("v2: a body that breaks off stores nothing", async () => {
  for (const [size, piece] of [
    ["Content-Length: 100", "value=x"],
    ["Transfer-Encoding: chunked", "7\r\nvalue=x\r\n"],
  ] as const) {
    using connection = rawHttp(url(), request("PUT /v2/keys/broken HTTP/1.1", [FORM, "Expect: 100-continue", size]));
    await connection.received(/100 Continue/);
    connection.send(piece);
  }
  // Whatever became of them has its place before this write.
  const after = await fetch(`${url()}/v2/keys/after`, { method: "PUT" });
  expect(after.status).toBe(201);
  expect((await fetch(`${url()}/v2/keys/broken`)).status).toBe(404);
});
