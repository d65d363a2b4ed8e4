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
  test("OpsFace: /health is true in etcd's words and type where the store can write", async () => {
    const answer = await fetch(`${await serve(() => Promise.resolve())}/health`);
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
      ...[200, "text/plain; charset=utf-8", '{"health": "true"}'],
    ]);
  });

  test("OpsFace: /health is 503 with the reason, in JSON, where it cannot", async () => {
    const answer = await fetch(`${await serve(() => Promise.reject(new Error('the "disk" is full')))}/health`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ health: "false", reason: 'the "disk" is full' });
  });

  test("OpsFace: /health takes GET alone, as etcd's", async () => {
    const url = `${await serve(() => Promise.resolve())}/health`;
    for (const method of ["HEAD", "POST", "PUT", "DELETE"]) {
      const answer = await fetch(url, { method });
      const { status, headers } = answer;
      expect([method, status, headers.get("allow"), headers.get("content-type"), await answer.text()]).toEqual([
        ...[method, 405, "GET", "text/plain; charset=utf-8", method === "HEAD" ? "" : "Method Not Allowed\n"],
      ]);
    }
  });

  test("OpsFace: other paths are not its own", async () => {
    expect((await fetch(`${await serve(() => Promise.resolve())}/health/`)).status).toBe(404);
  });
});
