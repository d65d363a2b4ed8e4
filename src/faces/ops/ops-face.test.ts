import { afterEach, describe, expect, test } from "vitest";
import { startTestService, type TestService } from "../../../test/support/test-service.ts";
import { HealthProbe } from "../../domain/health-probe.ts";
import { OpsFace } from "./ops-face.ts";

let running: TestService | undefined;
afterEach(async () => {
  await running?.service.stop();
  running = undefined;
});

async function serve(probe: () => Promise<void>): Promise<string> {
  const clock = { now: () => 0, monotonic: () => 0 };
  const face = new OpsFace({ probe: new HealthProbe({ engine: { probe }, clock }) });
  running = await startTestService({ clientFaces: [face] });
  return running.clientUrl;
}

describe("OpsFace", () => {
  test("OpsFace: /health is true in etcd's words where the store can write", async () => {
    const answer = await fetch(`${await serve(() => Promise.resolve())}/health`);
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
      200,
      "application/json",
      '{"health":"true"}',
    ]);
  });

  test("OpsFace: /health is 503 with the reason where it cannot", async () => {
    const answer = await fetch(`${await serve(() => Promise.reject(new Error("the disk is full")))}/health`);
    expect([answer.status, await answer.text()]).toEqual([503, '{"health":"false","reason":"the disk is full"}']);
  });

  test("OpsFace: HEAD has no body; other methods are refused", async () => {
    const url = `${await serve(() => Promise.resolve())}/health`;
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const post = await fetch(url, { method: "POST" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET"]);
  });

  test("OpsFace: other paths are not its own", async () => {
    expect((await fetch(`${await serve(() => Promise.resolve())}/health/`)).status).toBe(404);
  });
});
