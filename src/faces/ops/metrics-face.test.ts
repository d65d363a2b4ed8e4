import { afterEach, describe, expect, test } from "vitest";
import { startTestService, type TestService } from "../../../test/support/test-service.ts";
import { StatusCounts, Traffic } from "../../base/traffic.ts";
import type { Health } from "../../domain/health-probe.ts";
import { MetricsFace, type MetricsOptions } from "./metrics-face.ts";

let running: TestService | undefined;
afterEach(async () => {
  await running?.service.stop();
  running = undefined;
});

interface Stage extends Partial<Omit<MetricsOptions, "probe">> {
  health?: Health;
}

async function serve(stage: Stage = {}): Promise<string> {
  const face = new MetricsFace({
    version: "1.2.3",
    traffic: new Traffic(),
    engine: { status: () => Promise.resolve({ revision: 7, compactRevision: 0 }) },
    ...stage,
    probe: { check: () => Promise.resolve(stage.health ?? { ok: true }) },
  });
  running = await startTestService({ clientFaces: [face] });
  return `${running.clientUrl}/metrics`;
}

/** The lines of Muster's own metrics, without comments. */
async function scrape(url: string): Promise<readonly string[]> {
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  return (await answer.text()).split("\n").filter((line) => line.startsWith("muster_"));
}

describe("MetricsFace", () => {
  test("MetricsFace: is Prometheus' text, with the numbers of the process", async () => {
    const answer = await fetch(await serve());
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await answer.text();
    for (const name of ["process_cpu_seconds_total", "process_open_fds", "nodejs_eventloop_lag_seconds"]) {
      expect(text).toContain(`\n${name}`);
    }
  });

  test("MetricsFace: tells the store's health and revision, and of an embedded one its disk", async () => {
    const diskUse = () => Promise.resolve({ fileBytes: 30, liveBytes: 10, historyBytes: 5, oldestRevision: 1 });
    const status = () => Promise.resolve({ revision: 9, compactRevision: 0 });
    expect(await scrape(await serve({ engine: { status, diskUse } }))).toEqual([
      'muster_build_info{version="1.2.3"} 1',
      "muster_healthy 1",
      "muster_notice 0",
      "muster_store_revision 9",
      'muster_store_bytes{kind="file"} 30',
      'muster_store_bytes{kind="live"} 10',
      'muster_store_bytes{kind="history"} 5',
    ]);
  });

  test("MetricsFace: names the endpoint of an etcd that is in use, and follows it", async () => {
    let used = "h1:2379";
    const endpoints = () => ["h1:2379", "h2:2379"].map((name) => ({ name, inUse: name === used }));
    const url = await serve({ endpoints });
    const told = async () => (await scrape(url)).filter((line) => line.includes("endpoint"));
    expect(await told()).toEqual([
      'muster_store_endpoint_in_use{endpoint="h1:2379"} 1',
      'muster_store_endpoint_in_use{endpoint="h2:2379"} 0',
    ]);
    used = "h2:2379";
    expect(await told()).toEqual([
      'muster_store_endpoint_in_use{endpoint="h1:2379"} 0',
      'muster_store_endpoint_in_use{endpoint="h2:2379"} 1',
    ]);
  });

  test("MetricsFace: still answers while the store does not, and tells no old revision then", async () => {
    const stage: Stage = { health: { ok: true } };
    const url = await serve(stage);
    expect(await scrape(url)).toContain("muster_store_revision 7");
    stage.health = { ok: false, reason: "no leader", notice: "set the clock right" };
    expect(await scrape(url)).toEqual(['muster_build_info{version="1.2.3"} 1', "muster_healthy 0", "muster_notice 1"]);
  });

  test("MetricsFace: a store that fails between its health and its revision costs the revision alone", async () => {
    const url = await serve({ engine: { status: () => Promise.reject(new Error("gone")) } });
    expect(await scrape(url)).toEqual(['muster_build_info{version="1.2.3"} 1', "muster_healthy 1", "muster_notice 0"]);
  });

  test("MetricsFace: counts answers by listener, protocol and status, once however often it is asked", async () => {
    const traffic = new Traffic();
    const answered = new StatusCounts();
    traffic.add({ listener: "public", protocol: "http", answered, open: () => 4 });
    for (const status of [200, 200, 503]) answered.count(status);
    const url = await serve({ traffic });
    const expected = [
      'muster_requests_open{listener="public",protocol="http"} 4',
      'muster_requests_total{listener="public",protocol="http",status="200"} 2',
      'muster_requests_total{listener="public",protocol="http",status="503"} 1',
    ];
    for (let time = 0; time < 2; time++) {
      expect((await scrape(url)).filter((line) => line.startsWith("muster_requests"))).toEqual(expected);
    }
  });

  test("MetricsFace: takes reads alone", async () => {
    const answer = await fetch(await serve(), { method: "POST" });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });
});
