import { afterEach, describe, expect, it } from "vitest";
import { rawHttp } from "../../test/support/raw-http.ts";
import { faceOf, startTestService, type TestService } from "../../test/support/test-service.ts";
import { withEscapedTarget } from "./raw-target.ts";

describe("withEscapedTarget", () => {
  it("writes bytes beyond ASCII in the first line as percent signs, and nothing else otherwise", () => {
    const first = Buffer.from("PUT /ä%20?value=é HTTP/1.1\r\nHost: ä\r\n\r\nvalue=ä");
    expect(withEscapedTarget(first).toString()).toBe("PUT /%c3%a4%20?value=%c3%a9 HTTP/1.1\r\nHost: ä\r\n\r\nvalue=ä");
  });

  it("takes a line whose end has not come yet", () => {
    expect(withEscapedTarget(Buffer.from("GET /ä")).toString()).toBe("GET /%c3%a4");
  });

  it("leaves all others as they are", () => {
    const first = Buffer.from("PUT /a HTTP/1.1\r\nHost: a\r\n\r\nvalue=ä");
    expect(withEscapedTarget(first)).toBe(first);
  });
});

describe("Listener", () => {
  let running: TestService | undefined;
  afterEach(async () => {
    await running?.service.stop();
    running = undefined;
  });

  it("takes bytes beyond ASCII in a connection's first request line", async () => {
    const face = faceOf(async ({ path, query, response }) => void response.end(`${path} ${query}`));
    running = await startTestService({ clientFaces: [face] });
    using connection = rawHttp(running.clientUrl, "GET /ä?b=é HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(await connection.received(/b=%c3%a9/)).toContain("/%c3%a4 b=%c3%a9");
  });
});
