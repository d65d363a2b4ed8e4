/** `muster serve --store etcd://…` as an operator and nodes meet it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Status } from "../../src/grpc/status.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { restartablePorts } from "../support/ports.ts";
import { startProcess } from "../support/processes.ts";
import { answersOk, until } from "../support/until.ts";
import { V3Client } from "../support/v3-client.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const MUSTER = new URL("../../bin/muster", import.meta.url).pathname;
/** A call's deadline and what a busy machine may add. */
const ANSWER_WITHIN_MS = 15_000;
const WELL_AGAIN_MS = 60_000;

let scratch = "";
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "muster-serve-over-etcd-"));
});
afterAll(() => rm(scratch, { recursive: true }));

/** Runs a Muster that must not come up: its exit code and what it wrote. */
async function refused(flags: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const listeners = ["--listen", "127.0.0.1:0", "--client-listen", "127.0.0.1:0"];
  await using muster = await startProcess(process.execPath, [MUSTER, "serve", ...listeners, ...flags]);
  const { code } = await muster.ended;
  return { code, output: muster.output() };
}

async function get(url: string): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  return { status: answer.status, text: await answer.text() };
}

test("an etcd that cannot be reached at the start ends Muster with 1 and a line that names it", async () => {
  const [port = 0] = await restartablePorts(1);
  const { code, output } = await refused(["--store", `etcd://127.0.0.1:${port}`]);
  expect(code, output).toBe(1);
  expect(output).toMatch(new RegExp(`^muster: .*127\\.0\\.0\\.1:${port}.*\\n$`));
});

await describeWithEtcd("serve over an etcd", (binaries) => {
  test("a wrong password ends it with 1 and a line that holds no password; with the right one it serves", async () => {
    await using etcd = await startEtcd(binaries);
    for (const line of [
      ["user", "add", "root:right"],
      ["user", "grant-role", "root", "root"],
      ["auth", "enable"],
    ]) {
      const flags = ["--endpoints", etcd.clientAddress, ...line];
      await using done = await startProcess(binaries.etcdctl, flags, { env: { ETCDCTL_API: "3" } });
      expect(await done.ended, done.output()).toMatchObject({ code: 0 });
    }
    const file = join(scratch, "password");
    await writeFile(file, "wrong-one\n");
    const store = ["--store", `etcd://${etcd.clientAddress}`, "--store-user", "root", "--store-password-file", file];
    const { code, output } = await refused(store);
    expect(code, output).toBe(1);
    expect(output).toContain("invalid user ID or password");
    expect(output).not.toContain("wrong-one");
    await writeFile(file, "right\n");
    await using muster = await MusterProcess.start({ store });
    expect(await muster.newToken(3)).toMatch(/[0-9a-f]{32}$/);
  });

  test("what one Muster was told another tells, and its metrics name the endpoint in use", async () => {
    await using etcd = await startEtcd(binaries);
    const store = ["--store", `etcd://${etcd.clientAddress}`, "--store-prefix", "/muster/"];
    await using first = await MusterProcess.start({ store });
    await using second = await MusterProcess.start({ store });
    const token = new URL(await first.newToken(3)).pathname;
    const body = new URLSearchParams({ value: "n1=http://10.0.0.1:2380" });
    const put = await fetch(`${second.publicUrl}${token}/1`, { method: "PUT", body });
    expect(put.status, await put.text()).toBe(201);
    expect((await get(`${first.publicUrl}${token}`)).text).toContain("n1=http://10.0.0.1:2380");
    const metrics = (await get(`${second.clientUrl}/metrics`)).text;
    expect(metrics).toContain(`\nmuster_store_endpoint_in_use{endpoint="${etcd.clientAddress}"} 1\n`);
    expect(metrics).toContain('\nmuster_requests_total{listener="public",protocol="http",status="201"} 1\n');
    expect(metrics).toContain("\nmuster_healthy 1\n");
  });

  test("without a prefix, keys that others keep there are spoken of until Muster keeps its own among them", async () => {
    await using etcd = await startEtcd(binaries);
    const warning = "Give --store-prefix, unless all keys of this etcd are meant to be Muster's too";
    const serve = (prefix: readonly string[] = []) =>
      MusterProcess.start({ store: ["--store", `etcd://${etcd.clientAddress}`, ...prefix] });
    using owner = new V3Client(etcd.clientAddress);
    expect(await owner.call("KV/Put", { key: Buffer.from("k"), value: Buffer.from("v") })).toMatchObject({ ok: true });
    await using besides = await serve(["--store-prefix", "/muster/"]);
    await besides.newToken(3);
    await using first = await serve();
    await first.newToken(3);
    await using second = await serve();
    await Promise.all([besides, first, second].map((muster) => muster.waitForOutput(/"msg":"ready"/)));
    expect(first.output()).toContain(`\nWarning: ${warning}`);
    expect(first.output()).toContain(`"level":"warn"`);
    expect(first.output()).toContain(`"msg":"${warning}`);
    expect(besides.output() + second.output()).not.toContain(warning);
  });

  test("while etcd does not answer nodes and clients are told so in time, and all is well again without a restart", async () => {
    await using etcd = await startEtcd(binaries);
    await using muster = await MusterProcess.start({ store: ["--store", `etcd://${etcd.clientAddress}`] });
    using client = new V3Client(new URL(muster.clientUrl).host);
    const put = () => client.call("KV/Put", { key: Buffer.from("k"), value: Buffer.from("v") });
    const token = await muster.newToken(1);
    expect(await put()).toMatchObject({ ok: true });
    etcd.process.kill("SIGSTOP");
    const [member, made, wrote] = await Promise.all([get(token), get(`${muster.publicUrl}/new?size=3`), put()]);
    expect(member.status).toBe(503);
    expect(made.status).toBe(503);
    expect(wrote).toMatchObject({ code: Status.UNAVAILABLE });
    // By then what was found out before it was stopped is told no more.
    const health = await get(`${muster.clientUrl}/health`);
    expect([health.status, JSON.parse(health.text)]).toEqual([
      503,
      {
        health: "false",
        reason: expect.stringContaining("etcd"),
        muster: { ok: true },
        store: expect.objectContaining({ ok: false, reason: expect.stringContaining("etcd") }),
      },
    ]);
    const metrics = (await get(`${muster.clientUrl}/metrics`)).text;
    expect(metrics).toContain("\nmuster_healthy 0\n");
    for (const status of [Status.OK, Status.UNAVAILABLE]) {
      expect(metrics).toContain(`\nmuster_requests_total{listener="client",protocol="grpc",status="${status}"} 1\n`);
    }
    etcd.process.kill("SIGCONT");
    await until(() => answersOk(`${muster.publicUrl}/health`), { timeoutMs: WELL_AGAIN_MS, what: "health" });
    expect((await get(token)).status).toBe(200);
    expect(await put()).toMatchObject({ ok: true });
    expect(muster.starts).toBe(1);
  });

  test("a clean stop is clean while etcd does not answer, too", async () => {
    await using etcd = await startEtcd(binaries);
    await using muster = await MusterProcess.start({ store: ["--store", `etcd://${etcd.clientAddress}`] });
    await muster.newToken(3);
    etcd.process.kill("SIGSTOP");
    const asked = get(`${muster.publicUrl}/new?size=3`).catch(() => undefined);
    await muster.kill("SIGTERM");
    await asked;
    expect(muster.output()).toContain('"msg":"stopped"');
    expect(muster.output()).not.toContain("ended without finishing");
  });
});
