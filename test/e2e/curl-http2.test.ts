/** curl by HTTP/2, in clear and with TLS: requests for the HTTP faces, as people and scripts send them. */
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { faceOf, startTestService, type TestService } from "../support/test-service.ts";
import { testTls } from "../support/tls/test-tls.ts";

const run = promisify(execFile);
const CURL_TIMEOUT_MS = 60_000;
const MB = 1024 * 1024;

/** Answers with what came, and how much of it. */
const sums = faceOf(async ({ request, response, path }) => {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of request) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  response.setHeader("X-Length", String(bytes));
  if (path === "/large") response.end(Buffer.alloc(4 * MB, "x"));
  else response.end(`${request.method} ${path} ${bytes} ${hash.digest("hex")}`);
});

async function knowsHttp2(): Promise<boolean> {
  try {
    return /^Features:.* HTTP2/m.test((await run("curl", ["--version"])).stdout);
  } catch {
    return false;
  }
}

describe.skipIf(!(await knowsHttp2())).each(["http", "https"] as const)("curl by HTTP/2 (%s)", (scheme) => {
  let running: TestService;
  let directory: string;
  beforeAll(async () => {
    running = await startTestService({ publicFaces: [sums], config: scheme === "https" ? { tls: testTls } : {} });
    directory = await mkdtemp(join(tmpdir(), "muster-curl-"));
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  /** What curl writes; its last line is the protocol by which it was answered. */
  async function curl(...parameters: readonly string[]): Promise<string> {
    const protocol = scheme === "http" ? ["--http2-prior-knowledge"] : ["--http2", "--insecure"];
    const told = ["--silent", "--show-error", "--write-out", "\n%{http_version} %{http_code}\n"];
    const options = { timeout: CURL_TIMEOUT_MS, maxBuffer: 32 * MB };
    return (await run("curl", [...protocol, ...told, ...parameters], options)).stdout;
  }

  const sumOf = (body: Uint8Array) => createHash("sha256").update(body).digest("hex");

  test("a GET is answered", async () => {
    expect(await curl(`${running.publicUrl}/a`)).toBe(`GET /a 0 ${sumOf(Buffer.alloc(0))}\n2 200\n`);
  });

  // In clear, curl 7.88 sends no second request on a connection, whoever the server is, and says that it cannot.
  test.skipIf(scheme === "http")("many GETs on one connection are answered, in turn and at once", async () => {
    const many = await curl(`${running.publicUrl}/[1-50]`);
    expect(many.match(/^2 200$/gm)).toHaveLength(50);
    const atOnce = await curl("--parallel", `${running.publicUrl}/[1-50]`);
    expect(atOnce.match(/^2 200$/gm)).toHaveLength(50);
  });

  test("bodies come whole, also those that curl asks for first, and whose length it does not tell", async () => {
    const body = randomBytes(MB);
    const file = join(directory, "body");
    await writeFile(file, body);
    const expected = (method: string) => `${method} /b ${MB} ${sumOf(body)}\n2 200\n`;
    const url = `${running.publicUrl}/b`;
    expect(await curl("--data-binary", `@${file}`, "--header", "Expect: 100-continue", url)).toBe(expected("POST"));
    expect(await curl("--data-binary", `@${file}`, url)).toBe(expected("POST"));
    expect(await curl("--upload-file", file, "--header", "Content-Length:", url)).toBe(expected("PUT"));
    expect(await curl("--upload-file", file, "--request", "DELETE", url)).toBe(expected("DELETE"));
  });

  test("large answers come whole, a slow reader's too, and an answer without a body has none", async () => {
    const url = `${running.publicUrl}/large`;
    expect(await curl("--output", join(directory, "large"), url)).toBe("\n2 200\n");
    expect(await curl("--limit-rate", "4M", url)).toBe(`${"x".repeat(4 * MB)}\n2 200\n`);
    expect(await curl("--head", url)).toMatch(/^HTTP\/2 200 \r\n(.+\r\n)*x-length: 0\r\n/);
  });

  if (scheme === "http") {
    test("one that asks HTTP/1.1 for HTTP/2 is answered by HTTP/1.1", async () => {
      const { stdout } = await run("curl", ["--silent", "--http2", "--include", `${running.publicUrl}/a`]);
      expect(stdout).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    });
  }
});
