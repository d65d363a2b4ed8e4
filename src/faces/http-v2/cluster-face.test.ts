import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rawHttp } from "../../../test/support/raw-http.ts";
import { startTestService, type TestService } from "../../../test/support/test-service.ts";
import { StoreCounters } from "../../domain/tree/store-counters.ts";
import { ClusterFace } from "./cluster-face.ts";

const ID = "72971a6323cfe34c";
const clock = { now: () => Date.UTC(2026, 0, 2), monotonic: () => 0 };
const counters = new StoreCounters();
let services: TestService[] = [];
let url: string;

async function serve(advertiseClientUrls: readonly string[] = [], trustProxy = false): Promise<string> {
  const face = new ClusterFace({ clock, counters, clusterId: "35be2368d129d585", memberId: ID, advertiseClientUrls });
  const service = await startTestService({ clientFaces: [face], config: { trustProxy } });
  services.push(service);
  return service.clientUrl;
}

beforeEach(async () => {
  url = await serve();
});

afterEach(async () => {
  for (const { service } of services) await service.stop();
  services = [];
});

async function ask(path: string, init: RequestInit = {}) {
  const answer = await fetch(`${url}${path}`, { redirect: "manual", ...init });
  const { status, headers } = answer;
  return { status, headers, type: headers.get("content-type"), body: await answer.text() };
}

/** The whole answer to a request as it stands; the server closes behind it. */
function answerTo(request: string): Promise<string> {
  return rawHttp(url, request).closed;
}

const json = (body: string, method = "POST") => ({ method, body, headers: { "content-type": "application/json" } });

describe("ClusterFace", () => {
  it("/version is the release whose API this is", async () => {
    expect(await ask("/version")).toMatchObject({
      status: 200,
      type: "application/json",
      body: '{"etcdserver":"2.3.8","etcdcluster":"2.3.0"}',
    });
  });

  it("every path takes etcd's methods, and says which they are", async () => {
    const allowed = {
      "/version": "GET",
      "/v2/stats/self": "GET",
      "/v2/stats/leader": "GET",
      "/v2/stats/store": "GET",
      "/v2/machines": "GET,HEAD",
      "/v2/members": "GET,POST,DELETE,PUT",
      "/v2/members/leader": "GET,POST,DELETE,PUT",
    };
    for (const [path, allow] of Object.entries(allowed)) {
      const { status, headers, type, body } = await ask(path, { method: "PATCH" });
      expect([path, status, headers.get("allow"), type, body]).toEqual([
        ...[path, 405, allow, "text/plain; charset=utf-8", "Method Not Allowed\n"],
      ]);
      expect((await ask(path, { method: "HEAD" })).status, path).toBe(allow.includes("HEAD") ? 200 : 405);
    }
  });

  it("the member is reached by the address that the request came by", async () => {
    const member = { id: ID, name: "muster", peerURLs: [url], clientURLs: [url] };
    for (const path of ["/v2/members", "/v2/members/"]) {
      const { headers, body } = await ask(path);
      expect(body).toBe(`${JSON.stringify({ members: [member] })}\n`);
      expect(headers.get("x-etcd-cluster-id")).toBe("35be2368d129d585");
    }
    expect((await ask("/v2/members/leader")).body).toBe(`${JSON.stringify(member)}\n`);
    expect(await ask("/v2/machines")).toMatchObject({ type: "text/plain; charset=utf-8", body: url });
    const named = await answerTo("GET /v2/machines HTTP/1.1\r\nHost: localhost:1234\r\nConnection: close\r\n\r\n");
    expect(named).toMatch(/\r\n\r\nhttp:\/\/localhost:1234$/);
    const hostless = await answerTo("GET /v2/machines HTTP/1.0\r\n\r\n");
    expect(hostless.endsWith(`\r\n\r\n${url}`), hostless).toBe(true);
  });

  it("behind a trusted proxy the member is reached by the proxy's address", async () => {
    url = await serve([], true);
    const headers = { "x-forwarded-host": "etcd.example.com", "x-forwarded-proto": "https" };
    expect((await ask("/v2/machines", { headers })).body).toBe("https://etcd.example.com");
  });

  it("--advertise-client-urls stand above the address that the request came by", async () => {
    const urls = ["http://10.0.0.5:8088", "https://etcd.example.com"];
    url = await serve(urls);
    expect((await ask("/v2/machines")).body).toBe(urls.join(", "));
    expect(JSON.parse((await ask("/v2/members/leader")).body)).toMatchObject({ clientURLs: urls });
  });

  it("/v2/members: other names are not found", async () => {
    for (const name of ["x", ID, "leader/", "x/y"]) {
      expect(await ask(`/v2/members/${name}`)).toMatchObject({ status: 404, body: '{"message":"Not found"}' });
    }
  });

  it("/v2/members: what is wrong with a request is said before that members cannot be changed", async () => {
    const no = (status: number, message: string) => ({
      status,
      type: "application/json",
      body: JSON.stringify({ message }),
    });
    const form = 'Send JSON of the form {"peerURLs":["http://HOST:PORT"]}';
    expect(
      await ask("/v2/members", { method: "POST", body: "x", headers: { "content-type": "text/plain" } }),
    ).toMatchObject(no(415, "Bad Content-Type text/plain, accept application/json"));
    for (const body of ["not json", "", "[]", '{"peerURLs":"x"}', '{"peerURLs":[1]}']) {
      expect(await ask("/v2/members", json(body)), body).toMatchObject(no(400, form));
    }
    for (const body of ["{}", '{"peerURLs":[]}', '{"peerURLs":null}']) {
      expect(await ask("/v2/members", json(body)), body).toMatchObject(no(400, "no valid URLs given"));
    }
    const urls = {
      "ftp://h:1": "URL scheme must be http, https, unix, or unixs: ftp://h:1",
      "http://h": 'URL address does not have the form "host:port": http://h',
      "http://h:1/": "URL must not contain a path: http://h:1/",
    };
    for (const [peer, message] of Object.entries(urls)) {
      const body = JSON.stringify({ peerURLs: ["http://127.0.0.1:2380", peer] });
      expect(await ask("/v2/members", json(body)), peer).toMatchObject(no(400, message));
    }
    const sound = '{"peerURLs":["http://127.0.0.1:2380"]}';
    for (const [name, shown] of [
      ["notanid", "notanid"],
      ["00AB", "ab"],
      ["ab/c", "ab/c"],
      ["f".repeat(17), "f".repeat(17)],
    ]) {
      expect(await ask(`/v2/members/${name}`, { method: "DELETE" })).toMatchObject(no(404, `No such member: ${shown}`));
      expect(await ask(`/v2/members/${name}`, json(sound, "PUT"))).toMatchObject(no(404, `No such member: ${shown}`));
    }
    expect(await ask("/v2/members", { method: "DELETE" })).toMatchObject({ status: 405 });
    const fixed = { status: 409, body: expect.stringContaining("one process and always a cluster of one member") };
    expect(await ask("/v2/members", json(sound))).toMatchObject(fixed);
    expect(await ask(`/v2/members/${ID}`, json(sound, "PUT"))).toMatchObject(fixed);
    expect(await ask(`/v2/members/${ID}`, { method: "DELETE" })).toMatchObject(fixed);
  });

  it("/v2/stats: the leader of itself is the member, by its id", async () => {
    const startTime = "2026-01-02T00:00:00.000Z";
    expect(JSON.parse((await ask("/v2/stats/self")).body)).toEqual({
      ...{ name: "muster", id: ID, state: "StateLeader", startTime },
      ...{ leaderInfo: { leader: ID, uptime: "0s", startTime }, recvAppendRequestCnt: 0, sendAppendRequestCnt: 0 },
    });
    expect((await ask("/v2/stats/leader")).body).toBe(`{"leader":"${ID}","followers":{}}`);
    expect((await ask("/v2/stats/store")).body).toBe(JSON.stringify(counters.counts));
  });

  it("paths that are not clean are redirected, whatever they lead to; one that cannot be read is refused", async () => {
    for (const [path, clean] of [
      ["//version?a=b", "/version?a=b"],
      ["/v2//members/", "/v2/members/"],
      ["/health/", undefined],
      ["//health", "/health"],
      ["/v2/./nosuch", "/v2/nosuch"],
      ["//evil.example.com/..", "/"],
    ]) {
      const target = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
      const [, location] = /\r\nLocation: (\S+)\r\n/.exec(await answerTo(target)) ?? [];
      expect(location, path).toBe(clean);
    }
    expect((await ask("/%zz")).status).toBe(400);
    expect((await ask("/v2/stats/self/")).status).toBe(404);
    expect((await ask("/v2/member%73")).status).toBe(200);
  });
});
