import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { testConfig } from "../../test/support/test-service.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../base/log.ts";
import { compose } from "./compose.ts";
import { Service } from "./service.ts";

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

let dataDir: string;
let service: Service | undefined;
let lines: string[];
/** How far the machine's wall clock is ahead of the test's. */
let ahead: number;
let startedAt: number;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "muster-clock-"));
  lines = [];
  ahead = 0;
  startedAt = Date.now() - performance.now();
});

afterEach(async () => {
  await service?.stop();
  await rm(dataDir, { recursive: true });
});

async function start(): Promise<string> {
  service = await Service.start({
    config: testConfig({ store: { kind: "embedded", dataDir } }),
    log: createLog({ level: "info", format: "json", destination: { write: (line) => lines.push(line) } }),
    clock: {
      now: () => startedAt + performance.now() + ahead,
      monotonic: () => performance.now(),
      sinceBoot: () => performance.now() + HOUR_MS,
    },
    compose,
  });
  return service.addresses.clientUrls[0] ?? "";
}

async function put(url: string, path: string, form: Readonly<Record<string, string>>): Promise<void> {
  const answer = await fetch(`${url}/v2/keys${path}`, { method: "PUT", body: new URLSearchParams(form) });
  expect(answer.status).toBe(201);
}

async function status(url: string, path: string): Promise<number> {
  return (await fetch(`${url}${path}`)).status;
}

async function health(url: string): Promise<unknown> {
  return (await fetch(`${url}/health`)).json();
}

function gone(url: string, path: string): Promise<true> {
  const look = async () => ((await status(url, `/v2/keys${path}`)) === 404 ? true : undefined);
  return until(look, { timeoutMs: 40_000, what: `${path} to go` });
}

const NOTICE = (where: string) => ({ health: "true", notice: expect.stringContaining(where) });

test("compose: a clock that jumps ends nothing that is not due, and says so until it is right again", async () => {
  const url = await start();
  await put(url, "/lock", { value: "x", ttl: "3600" });
  await put(url, "/soon", { value: "x", ttl: "1" });
  expect(await health(url)).toEqual({ health: "true" });
  ahead = YEAR_MS;
  expect(await status(url, "/v2/keys/lock")).toBe(200);
  await gone(url, "/soon");
  await put(url, "/after", { value: "x", ttl: "60" });
  expect(lines.filter((line) => line.includes(" ahead of the time that Muster goes on by"))).toHaveLength(1);
  // One answer serves all who ask within a second.
  const said = async () => (JSON.stringify(await health(url)).includes("notice") ? true : undefined);
  await until(said, { timeoutMs: 40_000, what: "the notice" });
  expect(await health(url)).toEqual(NOTICE("31536000.0 s ahead"));
  ahead = 0;
  for (const path of ["/lock", "/after"]) expect(await status(url, `/v2/keys${path}`)).toBe(200);
  expect(lines.filter((line) => line.includes("is right again"))).toHaveLength(1);
});

test("compose: a start with a clock that was set back goes on from the newest write", async () => {
  const before = await start();
  await put(before, "/lock", { value: "x", ttl: "2" });
  await service?.stop();
  ahead = -YEAR_MS;
  const url = await start();
  expect(await health(url)).toEqual(NOTICE("s behind"));
  await gone(url, "/lock");
});

test("compose: what came due while it was down is gone at the start", async () => {
  const before = await start();
  await put(before, "/lock", { value: "x", ttl: "60" });
  await put(before, "/later", { value: "x", ttl: "7200" });
  await service?.stop();
  ahead = HOUR_MS;
  const url = await start();
  expect(await health(url)).toEqual({ health: "true" });
  expect(await status(url, "/v2/keys/lock")).toBe(404);
  expect(await status(url, "/v2/keys/later")).toBe(200);
});
