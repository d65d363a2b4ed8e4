import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { EtcdctlV3Session } from "../support/etcdctl-v3-session.ts";
import { ETCDCTL_V3_AUTH_STEPS, ETCDCTL_V3_STEPS } from "../support/etcdctl-v3-steps.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { startProcess } from "../support/processes.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";

/** `check perf` puts for a minute, whatever it is asked for. */
const PERF_TIMEOUT_MS = 300_000;
const MIRROR_WAIT_MS = 60_000;
const MUSTER = new URL("../../bin/muster", import.meta.url).pathname;

function define(binaries: EtcdBinaries): void {
  test("writes the same and exits the same on Muster as on a real etcd", async () => {
    await using muster = await MusterProcess.start();
    await using etcd = await startEtcd(binaries);
    const [expected, got] = await Promise.all(
      [etcd.clientAddress, new URL(muster.clientUrl).host].map(async (address) =>
        (await EtcdctlV3Session.start(binaries, address)).play(ETCDCTL_V3_STEPS),
      ),
    );
    expect(got).toEqual(expected);
  });

  test("users and roles: writes the same and exits the same as on a real etcd whose authentication is off", async () => {
    await using muster = await MusterProcess.start();
    await using etcd = await startEtcd(binaries);
    const [expected, got] = await Promise.all(
      [etcd.clientAddress, new URL(muster.clientUrl).host].map(async (address) =>
        (await EtcdctlV3Session.start(binaries, address)).play(ETCDCTL_V3_AUTH_STEPS),
      ),
    );
    expect(got).toEqual(expected);
  });

  test("member list, endpoint status: one member, which leads, by the address that was asked", async () => {
    await using muster = await MusterProcess.start();
    const { host } = new URL(muster.clientUrl);
    const session = await EtcdctlV3Session.start(binaries, host);
    const { output } = await session.raw("member", "list");
    const [, id = ""] = /^([0-9a-f]{16}), started, muster, \S+, (\S+), false\n$/.exec(output) ?? [];
    expect(output).toContain(`http://${host}`);
    const status = await session.raw("endpoint", "status");
    expect(status.output).toMatch(new RegExp(`^${host}, ${id}, 3\\.\\d+\\.\\d+, `));
    expect(status.output).toContain("true, false");
    const added = await session.raw("member", "add", "second", "--peer-urls", "http://127.0.0.1:2380");
    expect(added.code).not.toBe(0);
    expect(await session.raw("defrag")).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^Finished defragmenting etcd member/),
    });
  });

  test("snapshot save is taken whole, and `muster restore` makes a store of it that has all", async () => {
    const scratch = await mkdtemp(join(tmpdir(), "muster-snapshot-"));
    try {
      await using muster = await MusterProcess.start();
      const session = await EtcdctlV3Session.start(binaries, new URL(muster.clientUrl).host);
      await session.raw("put", "kept", "value");
      const hash = (await session.raw("endpoint", "hashkv")).output.split(", ")[1];
      const file = join(scratch, "saved.db");
      expect(await session.raw("snapshot", "save", file)).toMatchObject({ code: 0 });
      expect((await stat(file)).size % 512).toBe(32);
      await session.raw("put", "kept", "changed since");
      const token = await muster.newToken(3);
      expect(token).not.toBe("");
      const directory = join(scratch, "restored");
      await using restore = await startProcess(process.execPath, [MUSTER, "restore", file, "--data-dir", directory]);
      expect(await restore.ended, restore.output()).toMatchObject({ code: 0 });
      await using again = await MusterProcess.start({ flags: ["--data-dir", directory] });
      const restored = await EtcdctlV3Session.start(binaries, new URL(again.clientUrl).host);
      expect((await restored.raw("get", "kept", "--print-value-only")).output).toBe("value\n");
      expect((await restored.raw("endpoint", "hashkv")).output.split(", ")[1]?.trim()).toBe(hash?.trim());
      expect((await readFile(file)).subarray(0, 14).toString()).toBe("muster-lmdb 1\n");
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });

  test("make-mirror copies Muster's keys to a real etcd, and what happens from then on", async () => {
    await using muster = await MusterProcess.start();
    await using etcd = await startEtcd(binaries);
    const from = await EtcdctlV3Session.start(binaries, new URL(muster.clientUrl).host);
    const to = await EtcdctlV3Session.start(binaries, etcd.clientAddress);
    for (const key of ["k1", "k2", "k3"]) await from.raw("put", key, `${key} before`);
    await using mirror = await startProcess(
      binaries.etcdctl,
      ["--endpoints", new URL(muster.clientUrl).host, "make-mirror", etcd.clientAddress],
      { env: { ETCDCTL_API: "3" } },
    );
    const copied = async () => (await to.raw("get", "k", "--prefix", "--print-value-only")).output;
    await expect.poll(copied, { timeout: MIRROR_WAIT_MS }).toBe("k1 before\nk2 before\nk3 before\n");
    await from.raw("put", "k2", "k2 after");
    await from.raw("del", "k1");
    await expect.poll(copied, { timeout: MIRROR_WAIT_MS }).toBe("k2 after\nk3 before\n");
    await mirror.stop("SIGKILL");
  });
}

await describeWithEtcd("etcdctl 3.4", define);
await describeWithEtcdGo("3.7", "etcdctl 3.7", define);

await describeWithEtcd("etcdctl check perf", (binaries) => {
  test("goes through, and gets about as much done as on a real etcd beside it", {
    timeout: PERF_TIMEOUT_MS,
  }, async () => {
    await using muster = await MusterProcess.start();
    await using etcd = await startEtcd(binaries);
    const [got = 0, expected = 0] = await Promise.all(
      [new URL(muster.clientUrl).host, etcd.clientAddress].map(async (address) => {
        await using check = await startProcess(
          binaries.etcdctl,
          ["--endpoints", address, "check", "perf", "--load", "s"],
          { env: { ETCDCTL_API: "3" } },
        );
        await check.ended;
        return Number(/Throughput (?:is|too low:) (\d+) writes\/s/.exec(check.output())?.[1]);
      }),
    );
    expect(got).toBeGreaterThan(expected / 2);
  });
});
