import { hostname } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { rawRequest } from "../../test/support/raw-http.ts";
import { faceOf, startTestService, type TestService } from "../../test/support/test-service.ts";
import type { Config } from "./config.ts";

let running: TestService | undefined;
afterEach(async () => {
  await running?.service.stop();
  running = undefined;
});

async function serve(config: Partial<Config> = {}): Promise<TestService> {
  const face = faceOf(async ({ response }) => void response.end("taken"));
  running = await startTestService({ publicFaces: [face], clientFaces: [face], config });
  return running;
}

const TAKEN = /^HTTP\/1\.1 200 /;
const REFUSED = /^HTTP\/1\.1 403 /;

describe("ClientGuard", () => {
  test.each(["localhost", "LOCALHOST:8088", "127.0.0.1:8088", "10.1.2.3", "[::1]:8088", hostname()])(
    "ClientGuard: Host %s is this machine",
    async (host) => {
      const { clientUrl } = await serve();
      expect(await rawRequest(clientUrl, ["GET / HTTP/1.1", `Host: ${host}`])).toMatch(TAKEN);
    },
  );

  test.each(["evil.example", "evil.example:8088", "localhost.evil.example", "127.0.0.1.evil.example", "a/b", ""])(
    "ClientGuard: Host %j is refused with what to do",
    async (host) => {
      const { clientUrl } = await serve();
      const answer = await rawRequest(clientUrl, ["GET / HTTP/1.1", `Host: ${host}`, "X-Forwarded-Host: localhost"]);
      expect(answer).toMatch(REFUSED);
      expect(answer).toContain(`start muster with --client-allowed-host NAME: Host "${host}" is not`);
    },
  );

  test("ClientGuard: a trusted proxy's word on the Host does not stand for the Host", async () => {
    const { clientUrl } = await serve({ trustProxy: true });
    const lines = ["GET / HTTP/1.1", "Host: evil.example", "X-Forwarded-Host: localhost"];
    expect(await rawRequest(clientUrl, lines)).toMatch(REFUSED);
  });

  test("ClientGuard: a name that is allowed by the configuration is taken, others are not", async () => {
    const { clientUrl } = await serve({ clientAllowedHosts: ["muster.example.com"] });
    expect(await rawRequest(clientUrl, ["GET / HTTP/1.1", "Host: Muster.example.com:8088"])).toMatch(TAKEN);
    expect(await rawRequest(clientUrl, ["GET / HTTP/1.1", "Host: x.muster.example.com"])).toMatch(REFUSED);
  });

  test("ClientGuard: HTTP/1.0 without a Host is no browser", async () => {
    const { clientUrl } = await serve();
    expect(await rawRequest(clientUrl, ["GET / HTTP/1.0"])).toMatch(TAKEN);
  });

  test.each([
    "http://evil.example",
    "null",
    "http://localhost:9",
    "https://127.0.0.1",
    "chrome-extension://127.0.0.1:8088",
  ])("ClientGuard: Origin %s is another site than 127.0.0.1:8088", async (origin) => {
    const { clientUrl } = await serve();
    const answer = await rawRequest(clientUrl, ["PUT / HTTP/1.1", "Host: 127.0.0.1:8088", `Origin: ${origin}`]);
    expect(answer).toMatch(REFUSED);
    expect(answer).toContain(`Origin "${origin}" is another site`);
  });

  test("ClientGuard: a page of the address itself is taken", async () => {
    const { clientUrl } = await serve();
    const lines = ["PUT / HTTP/1.1", "Host: localhost:8088", "Origin: http://localhost:8088"];
    expect(await rawRequest(clientUrl, lines)).toMatch(TAKEN);
  });

  test("ClientGuard: the public listener takes every Host and Origin", async () => {
    const { publicUrl } = await serve();
    const lines = ["GET / HTTP/1.1", "Host: discovery.example.com", "Origin: http://evil.example"];
    expect(await rawRequest(publicUrl, lines)).toMatch(TAKEN);
  });

  test("ClientGuard: refusals are logged once for each kind", async () => {
    const { clientUrl, log } = await serve();
    for (let time = 0; time < 3; time++) {
      await rawRequest(clientUrl, ["GET / HTTP/1.1", "Host: evil.example"]);
      await rawRequest(clientUrl, ["GET / HTTP/1.1", "Host: localhost", "Origin: http://evil.example"]);
    }
    expect(log().match(/refused a foreign/g)).toHaveLength(2);
  });
});
