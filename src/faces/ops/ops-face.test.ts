import { afterEach, describe, expect, test } from "vitest";
import { startTestService, type TestService } from "../../../test/support/test-service.ts";
import { HealthProbe } from "../../domain/health-probe.ts";
import type { StoreEndpoint } from "../../engine/engine.ts";
import { OpsFace } from "./ops-face.ts";

let running: TestService | undefined;
afterEach(async () => {
  await running?.service.stop();
  running = undefined;
});

interface Stage {
  readonly endpoints?: () => readonly StoreEndpoint[];
  readonly notice?: string;
}

async function serve(probe: () => Promise<void>, { endpoints, notice }: Stage = {}): Promise<string> {
  const clock = { now: () => 0, monotonic: () => 0 };
  const face = new OpsFace({ probe: new HealthProbe({ engine: { probe }, clock, notice: () => notice }), endpoints });
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

  test("OpsFace: over an etcd /health begins with etcd's words, and tells Muster's state and the store's apart", async () => {
    const endpoints = () => [
      { name: "h1:2379", inUse: false },
      { name: "h2:2379", inUse: true },
    ];
    const answer = await fetch(`${await serve(() => Promise.resolve(), { endpoints })}/health`);
    expect([answer.status, await answer.text()]).toEqual([
      200,
      '{"health": "true", "muster": {"ok":true}, "store": {"ok":true,"endpoint":"h2:2379"}}',
    ]);
  });

  test("OpsFace: over an etcd without a quorum /health is 503, and what Muster says of itself stands beside it", async () => {
    const endpoints = () => [{ name: "h1:2379", inUse: false, problem: "connection refused" }];
    const url = await serve(() => Promise.reject(new Error("no leader")), { endpoints, notice: "set the clock right" });
    const answer = await fetch(`${url}/health`);
    expect([answer.status, await answer.json()]).toEqual([
      503,
      {
        health: "false",
        reason: "no leader",
        muster: { ok: false, notice: "set the clock right" },
        store: { ok: false, reason: "no leader", problems: { "h1:2379": "connection refused" } },
      },
    ]);
  });

  test("OpsFace: a Muster whose clock is wrong still serves nodes: 200 with a notice", async () => {
    const endpoints = () => [{ name: "h1:2379", inUse: true }];
    const url = await serve(() => Promise.resolve(), { endpoints, notice: "set the clock right" });
    const answer = await fetch(`${url}/health`);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      {
        health: "true",
        notice: "set the clock right",
        muster: { ok: false, notice: "set the clock right" },
        store: { ok: true, endpoint: "h1:2379" },
      },
    ]);
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
