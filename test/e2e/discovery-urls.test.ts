import { expect, test } from "vitest";
import { RawClient } from "../conformance/raw-client.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { until } from "../support/until.ts";

const TOKEN_URL = /^(https?:\/\/.+)\/[0-9a-f]{32}$/;
const EXPIRY_TIMEOUT_MS = 60_000;

/** What stands before the token in the URL that /new gives. */
async function baseGiven(muster: MusterProcess, headers: Record<string, string> = {}): Promise<string | undefined> {
  const client = new RawClient(muster.publicUrl);
  try {
    const { text } = await client.call({ method: "GET", path: "/new", headers });
    return TOKEN_URL.exec(text.trim())?.[1];
  } finally {
    client.close();
  }
}

async function expectKeyNotFound(url: string): Promise<true> {
  const answer = await fetch(url);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ errorCode: 100, message: "Key not found" });
  return true;
}

function put(url: string, value: string): Promise<Response> {
  return fetch(url, { method: "PUT", body: new URLSearchParams({ value }) });
}

test("/new: GET, PUT and POST each make a token of the size asked for", async () => {
  await using muster = await MusterProcess.start();
  for (const method of ["GET", "PUT", "POST"]) {
    const answer = await fetch(`${muster.publicUrl}/new?size=5`, { method });
    const url = (await answer.text()).trim();
    expect(url).toMatch(TOKEN_URL);
    expect(await (await fetch(`${url}/_config/size`)).json()).toMatchObject({ node: { value: "5" } });
  }
});

test("/new: a size that is no whole number from 1 to 1000 is refused with a sentence that says so", async () => {
  await using muster = await MusterProcess.start();
  for (const size of ["0", "-1", "1001", "three", "2.5"]) {
    const answer = await fetch(`${muster.publicUrl}/new?size=${size}`);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toMatch(/whole number from 1 to 1000/);
  }
});

test("/new: the URL begins with the Host that the client used, and with nothing that is no host", async () => {
  await using muster = await MusterProcess.start();
  expect(await baseGiven(muster)).toBe(muster.publicUrl);
  expect(await baseGiven(muster, { host: "discovery.example.com" })).toBe("http://discovery.example.com");
  expect(await baseGiven(muster, { host: "[2001:db8::1]:8087" })).toBe("http://[2001:db8::1]:8087");
  for (const host of ["evil.example.com/path", "user@evil.example.com", "a b", "host:99999", "<script>"]) {
    expect(await baseGiven(muster, { host })).toBeUndefined();
  }
  const forwarded = { "x-forwarded-host": "evil.example.com", "x-forwarded-proto": "https" };
  expect(await baseGiven(muster, forwarded)).toBe(muster.publicUrl);
});

test("/new: with --trust-proxy the forwarded headers count", async () => {
  await using muster = await MusterProcess.start({ flags: ["--trust-proxy"] });
  const forwarded = { "x-forwarded-host": "discovery.example.com", "x-forwarded-proto": "https" };
  expect(await baseGiven(muster, forwarded)).toBe("https://discovery.example.com");
});

test("/new: with --public-url that is what every URL begins with", async () => {
  await using muster = await MusterProcess.start({ flags: ["--public-url", "https://discovery.example.com"] });
  expect(await baseGiven(muster)).toBe("https://discovery.example.com");
  expect(await baseGiven(muster, { host: "elsewhere:1" })).toBe("https://discovery.example.com");
  expect(await baseGiven(muster, { host: "a b" })).toBe("https://discovery.example.com");
});

test("--token-ttl: a token is gone after it, with its keys; one that was made by hand stays", async () => {
  await using muster = await MusterProcess.start({ flags: ["--token-ttl", "5s"] });
  const byHand = `${muster.clientUrl}/v2/keys/_etcd/registry/${"beef".repeat(8)}`;
  await put(`${byHand}/_config/size`, "3");
  await put(`${byHand}/m1`, "a=http://10.0.0.1:2380");
  const issued = await muster.newToken(3);
  const token = issued.slice(issued.lastIndexOf("/") + 1);
  expect((await put(`${issued}/m1?prevExist=false`, "a=http://10.0.0.1:2380")).status).toBe(201);

  await until(() => expectKeyNotFound(issued), { timeoutMs: EXPIRY_TIMEOUT_MS, what: "the token to expire" });
  await expectKeyNotFound(`${issued}/_config/size`);
  await expectKeyNotFound(`${issued}/m1`);
  // The keys themselves go a moment later: the sweeper looks once in a while.
  const key = `${muster.clientUrl}/v2/keys/_etcd/registry/${token}`;
  await until(() => expectKeyNotFound(key), { timeoutMs: EXPIRY_TIMEOUT_MS, what: "the token's keys to be deleted" });

  expect((await fetch(byHand)).status).toBe(200);
  expect(await (await fetch(`${byHand}/_config/size`)).json()).toMatchObject({ node: { value: "3" } });
});

test("a node that writes to a token never issued, or at a token itself, is refused", async () => {
  await using muster = await MusterProcess.start();
  const unknown = `${muster.publicUrl}/${"dead".repeat(8)}`;
  const answer = await put(`${unknown}/m1?prevExist=false`, "a=http://10.0.0.1:2380");
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ errorCode: 100 });
  await expectKeyNotFound(unknown);

  const issued = await muster.newToken(3);
  const limit = await fetch(`${issued}?prevExist=true&dir=true&ttl=1`, { method: "PUT" });
  expect(limit.status).toBe(400);
  expect(await limit.json()).toMatchObject({ errorCode: 107 });
  expect((await fetch(`${issued}?recursive=true`, { method: "DELETE" })).status).toBe(400);
  expect(await (await fetch(`${issued}/_config/size`)).json()).toMatchObject({ node: { value: "3" } });
});

test("etcd 0.4: PUT //TOKEN/NAME is served where it stands, without a redirect", async () => {
  await using muster = await MusterProcess.start();
  const token = new URL(await muster.newToken(3)).pathname.slice(1);
  const client = new RawClient(muster.publicUrl);
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const body = "value=http%3A%2F%2F10.0.0.1%3A7001&ttl=604800";
  const answer = await client.call({ method: "PUT", path: `//${token}/machine1`, headers, body });
  client.close();
  expect(answer.status).toBe(201);
  expect(await (await fetch(`${muster.publicUrl}/${token}/machine1`)).json()).toMatchObject({
    node: { key: `/_etcd/registry/${token}/machine1`, value: "http://10.0.0.1:7001", ttl: 604_800 },
  });
});

test("a registration that is repeated before the token is complete is answered again; after that it is refused", async () => {
  await using muster = await MusterProcess.start();
  const url = await muster.newToken(2);
  const register = (id: string) => put(`${url}/${id}?prevExist=false`, `${id}=http://10.0.0.1:2380`);
  const first: unknown = await (await register("a1")).json();
  const again = await register("a1");
  expect(again.status).toBe(201);
  expect(await again.json()).toEqual(first);
  expect((await put(`${url}/a1?prevExist=false`, "other=http://10.0.0.9:2380")).status).toBe(412);
  expect((await register("b2")).status).toBe(201);
  const late = await register("a1");
  expect(late.status).toBe(412);
  expect(await late.json()).toMatchObject({ errorCode: 105 });
});

test("a recursive wait at a token is answered by a first registration only", async () => {
  await using muster = await MusterProcess.start();
  const url = await muster.newToken(3);
  await put(`${url}/a1?prevExist=false`, "a=http://10.0.0.1:2380");
  const listed = await fetch(url);
  const next = Number(listed.headers.get("x-etcd-index")) + 1;
  const waiting = fetch(`${url}?wait=true&recursive=true&waitIndex=${next}`);
  await put(`${url}/a1`, "a=http://10.0.0.2:2380");
  await put(`${url}/_state?prevExist=false`, "started");
  await put(`${url}/b2?prevExist=false`, "b=http://10.0.0.3:2380");
  expect(await (await waiting).json()).toMatchObject({ action: "create", node: { value: "b=http://10.0.0.3:2380" } });
});

test("a recursive wait at a token is cut when a member is taken away, so that the node reads the list afresh", async () => {
  await using muster = await MusterProcess.start();
  const url = await muster.newToken(3);
  await put(`${url}/a1?prevExist=false`, "a=http://10.0.0.1:2380");
  const waiting = await fetch(`${url}?wait=true&recursive=true`);
  expect((await fetch(`${url}/a1`, { method: "DELETE" })).status).toBe(200);
  await expect(waiting.text()).rejects.toThrow();
});
