import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rawHttp } from "../../../test/support/raw-http.ts";
import { startTestService, type TestService } from "../../../test/support/test-service.ts";
import type { Clock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { createLog, silentLog } from "../../base/log.ts";
import { HealthProbe } from "../../domain/health-probe.ts";
import { Registry } from "../../domain/registry/registry.ts";
import { Tree } from "../../domain/tree/tree.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import { DiscoveryFace } from "./discovery-face.ts";

let engine: Engine;
let tree: Tree;
let registry: Registry;
let service: TestService;
let broken: MusterError | undefined;
let now: number;
let lines: string[];
const clock: Clock = { now: () => now, monotonic: () => now };

beforeEach(async () => {
  broken = undefined;
  now = 1_700_000_000_000;
  engine = openMemoryEngine();
  tree = await Tree.open({ engine, clock, log: silentLog });
  let made = 0;
  lines = [];
  registry = Registry.open({
    engine,
    tree,
    clock,
    log: createLog({ level: "info", format: "json", destination: { write: (line) => lines.push(line) } }),
    tokenTtlMs: 0,
    randomTokenBytes: () => Buffer.alloc(12, ++made),
  });
  service = await startTestService({ publicFaces: [faceAt(undefined)] });
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  await registry.close();
  await tree.close();
  await engine.close();
});

function faceAt(publicUrl: string | undefined): DiscoveryFace {
  const probe = new HealthProbe({
    engine: { probe: () => (broken === undefined ? engine.probe() : Promise.reject(broken)) },
    clock,
  });
  return new DiscoveryFace({ registry, probe, clock, clusterId: "0", publicUrl });
}

function ask(path: string, options: RequestInit = {}): Promise<Response> {
  return fetch(`${service.publicUrl}${path}`, { redirect: "manual", ...options });
}

describe("DiscoveryFace /new", () => {
  it("reads the size from a form too, as Go's FormValue does, the form before the query", async () => {
    const token = await (await ask("/new?size=9", { method: "POST", body: new URLSearchParams({ size: "5" }) })).text();
    const size = await (await fetch(`${token}/_config/size`)).json();
    expect(size).toMatchObject({ node: { value: "5" } });
  });

  it.each(["0", "-1", "1001", "3.5", "three", "0x3", "1e2", " 3"])("refuses the size %j", async (size) => {
    const answer = await ask(`/new?size=${encodeURIComponent(size)}`);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("a whole number from 1 to 1000");
  });

  it("makes no token for methods that ask for none", async () => {
    const { revision } = await engine.status();
    for (const method of ["HEAD", "DELETE", "PATCH"]) {
      expect((await ask("/new", { method })).status, method).toBe(405);
    }
    expect((await engine.status()).revision).toBe(revision);
  });

  it("says what to do where the Host is none", async () => {
    using connection = rawHttp(service.publicUrl, "GET /new HTTP/1.1\r\nHost: a/b@c\r\nConnection: close\r\n\r\n");
    expect(await connection.closed).toMatch(/^HTTP\/1.1 400 [\s\S]*--public-url/);
  });
});

describe("DiscoveryFace /health", () => {
  it("says 503 and why when the probe fails, and changes no index when it does not", async () => {
    const { revision } = await engine.status();
    expect(await (await ask("/health")).text()).toBe("OK");
    expect((await engine.status()).revision).toBe(revision);
  });

  it("says 503 and why when the probe fails", async () => {
    broken = new MusterError("storeUnavailable", "Make room: the disk is full");
    const answer = await ask("/health");
    expect([answer.status, await answer.text()]).toEqual([503, "Make room: the disk is full"]);
  });
});

describe("DiscoveryFace /", () => {
  it("explains itself in plain text, with commands for this very address", async () => {
    const answer = await ask("/", { headers: { accept: "*/*" } });
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await answer.text()).toContain(`curl '${service.publicUrl}/new?size=3'`);
  });

  it("is a page for a browser", async () => {
    const answer = await ask("/", { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const page = await answer.text();
    expect(page).toContain("<h1>Muster</h1>");
    const command = `etcd --name NAME --discovery-token TOKEN --discovery-endpoints ${service.publicUrl} --initial-`;
    expect(page.match(/<pre>[^<]*<\/pre>/g)?.[1]).toContain(command);
  });

  it.each([
    ["muster:8087", "http://muster:8087"],
    ["muster", "http://muster:80"],
    ["[::1]", "http://[::1]:80"],
    ["[::1]:8087", "http://[::1]:8087"],
    ["a/b@c", "http://HOST:PORT"],
  ])("gives etcd 3.7 an address with a port, of the Host %j", async (host, endpoint) => {
    using connection = rawHttp(service.publicUrl, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(await connection.closed).toContain(
      `       etcd --name NAME --discovery-token TOKEN --discovery-endpoints ${endpoint} --initial-`,
    );
  });

  it.each([
    ["http://discovery.example", " --discovery-endpoints http://discovery.example:80 --initial-"],
    ["https://d.example", " --discovery-endpoints https://d.example:443 --initial-"],
    ["https://[::1]:9", " --discovery-endpoints https://[::1]:9 --initial-"],
  ])("gives etcd 3.7 the public URL %s, with a port", async (publicUrl, command) => {
    await using other = await startTestService({ publicFaces: [faceAt(publicUrl)] });
    expect(await (await fetch(other.publicUrl)).text()).toContain(command);
  });

  it("speaks of no gRPC where the public URL has a path", async () => {
    await using other = await startTestService({ publicFaces: [faceAt("https://d.example/discovery")] });
    const text = await (await fetch(other.publicUrl)).text();
    expect(text).toContain("curl 'https://d.example/discovery/new?size=3'");
    expect(text).not.toContain("--discovery-token");
  });
});

describe("DiscoveryFace: tokens", () => {
  it("serves a name that is no random token only where somebody made such a token", async () => {
    expect(await (await ask("/by-hand")).text()).toBe("404 page not found\n");
    await engine.txn({
      compares: [],
      success: [
        { kind: "put", request: { key: Buffer.from("/_etcd/registry/by-hand/_config/size"), value: Buffer.from("3") } },
      ],
      failure: [],
    });
    expect((await ask("/by-hand/_config/size")).status).toBe(200);
  });

  it("says the same of a token while it stands so, with the index of now, and what changes as soon as it does", async () => {
    const token = new URL(await (await ask("/new")).text()).pathname;
    const put = (id: string, fields: Record<string, string>) =>
      ask(`${token}/${id}`, { method: "PUT", body: new URLSearchParams(fields) });
    await put("a", { value: "é=http://10.0.0.1:2380" });
    const [first, second] = [await ask(token), await ask(token)];
    await ask("/new");
    const third = await ask(token);
    const body = await first.text();
    expect([await second.text(), await third.text()]).toEqual([body, body]);
    const headersOf = ({ headers }: Response) => Object.fromEntries([...headers].filter(([name]) => name !== "date"));
    const index = (await engine.status()).revision;
    const anew = { ...headersOf(first), "x-etcd-index": String(index), "x-raft-index": String(index) };
    expect([headersOf(second), headersOf(third)]).toEqual([headersOf(first), anew]);
    expect(second.headers.get("content-length")).toBe(String(Buffer.byteLength(body)));
    await put("b", { value: "b=u" });
    expect(await (await ask(token)).text()).toContain("b=u");
  });

  it("counts the time to live of a member down", async () => {
    const token = new URL(await (await ask("/new")).text()).pathname;
    await ask(`${token}/a`, { method: "PUT", body: new URLSearchParams({ value: "a=u", ttl: "100" }) });
    expect(await (await ask(token)).text()).toContain('"ttl":100');
    now += 5_000;
    expect(await (await ask(token)).text()).toContain('"ttl":95');
    now += 95_000;
    expect(await (await ask(token)).text()).not.toContain("a=u");
  });

  it("answers /version, which etcd has, like a name that is no token", async () => {
    for (const method of ["GET", "HEAD", "PUT"]) {
      const answer = await ask("/version", { method });
      expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "text/plain; charset=utf-8"]);
      expect(await answer.text()).toBe(method === "HEAD" ? "" : "404 page not found\n");
    }
  });

  it("never reaches above the registry", async () => {
    await engine.txn({
      compares: [],
      success: [{ kind: "put", request: { key: Buffer.from("/secret"), value: Buffer.from("x") } }],
      failure: [],
    });
    for (const path of ["/..%2F..%2Fsecret", "/%2e%2e/%2e%2e/secret", "/_etcd/registry", "/%00a", "/.."]) {
      using connection = rawHttp(service.publicUrl, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(await connection.closed, path).toMatch(/^HTTP\/1.1 (301|400|404) /);
    }
  });

  it("redirects reads of unclean paths and serves writes where they stand", async () => {
    const token = new URL(await (await ask("/new")).text()).pathname;
    expect((await ask(`/${token}`)).headers.get("location")).toBe(token);
    const written = await ask(`/${token}/m1`, {
      method: "PUT",
      body: new URLSearchParams({ value: "http://10.0.0.1:7001" }),
    });
    expect(written.status).toBe(201);
  });
});

describe("DiscoveryFace: a token that is not there", () => {
  it.each([`/${"f".repeat(32)}/_config/size`, `/${"f".repeat(32)}`, "/my-cluster/_config/size"])(
    "is told of in the log, once for an address, when a node asks for %s",
    async (path) => {
      for (let time = 0; time < 3; time++) expect((await ask(path)).status).toBe(404);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain("a token was asked for that is not here");
    },
  );

  it.each(["/favicon.ico", "/my-cluster", "/a/b"])("is not told of for %s, which no node asks for", async (path) => {
    expect((await ask(path)).status).toBe(404);
    expect(lines).toEqual([]);
  });
});
