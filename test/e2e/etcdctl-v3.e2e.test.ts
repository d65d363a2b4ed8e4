import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { EtcdctlV3Session, type V3Step } from "../support/etcdctl-v3-session.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { startProcess } from "../support/processes.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";

/** `check perf` puts for a minute, whatever it is asked for. */
const PERF_TIMEOUT_MS = 120_000;
const MIRROR_WAIT_MS = 20_000;
/** What no session comes to. */
const FUTURE = "1000000";
const MUSTER = new URL("../../bin/muster", import.meta.url).pathname;

const lines = (...commands: readonly string[]): readonly V3Step[] =>
  commands.map((command) => ({ run: command.split(" ") }));

/** Each command with its flags, in what it does and in what it refuses. */
const STEPS: readonly V3Step[] = [
  ...lines("put a 1", "put a 2", "put b 3", "put ab 4", "put c 5", "get a", "get a -w json", "get a -w fields"),
  ...lines("put a 6 --prev-kv", "put a 7 --prev-kv -w json", "put a --ignore-value", "put none --ignore-value"),
  { run: ["put", "long"], stdin: "typed\nin lines\n" },
  ...lines("get long", "get none", "get a c", "get a --prefix", "get --prefix a --limit 1", "get --from-key b"),
  { run: ["get", "", "--prefix"] },
  { run: ["get", "", "--from-key", "--keys-only"] },
  ...lines("get a --prefix --order DESCEND --sort-by VALUE", "get a --prefix --sort-by MODIFY --order ASCEND"),
  ...lines("get a --prefix --sort-by CREATE --order DESCEND", "get a --prefix --sort-by VERSION --order DESCEND"),
  ...lines("get a --prefix --keys-only", "get a --prefix --count-only -w fields", "get a --print-value-only"),
  ...lines("get a --hex", "get a --consistency s", "get a --rev {S+1}", "get a --rev {S+2} -w json"),
  ...lines(`get a --rev ${FUTURE}`, "del none", "del ab", "del b --prev-kv", "del c --prev-kv -w json"),
  ...lines("lease grant 700", "lease timetolive {lease 0}", "put --lease {lease 0} held x", "get held -w json"),
  ...lines("lease timetolive {lease 0} --keys", "lease keep-alive --once {lease 0}", "lease list"),
  ...lines("put held y --ignore-lease", "lease revoke {lease 0}", "get held", "lease revoke {lease 0}"),
  ...lines("lease timetolive {lease 0}", "lease keep-alive --once {lease 0}", "put --lease 123 x y", "lease grant 800"),
  { run: ["txn"], stdin: 'value("a") = "7"\n\nput a then\nget a\n\nput a else\n\n' },
  { run: ["txn"], stdin: 'mod("a") > "1"\nversion("none") = "0"\n\nput t1 x\nput t2 y\ndel long\n\nget a\n\n' },
  { run: ["txn", "-w", "json"], stdin: 'create("none") > "0"\n\nput t1 x\n\nget t --prefix\ndel t2\n\n' },
  { run: ["txn"], stdin: "\n\nput twice 1\nput twice 2\n\n\n" },
  // The past of watches, and what follows.
  { run: ["watch", "a", "--rev", "{S+1}"], until: /then/ },
  { run: ["watch", "t", "--prefix", "--rev", "{S+1}", "--prev-kv"], until: /t2/ },
  { run: ["watch", "--rev", "{S+1}", "-w", "json", "a", "c"], until: /"Nw=="/ },
  {
    run: ["watch", "-i"],
    stdin: "watch a --rev=1\nwatch live\n",
    until: /LIVE/,
    begun: /then/,
    meanwhile: [["put", "live", "LIVE"]],
  },
  { run: ["watch", "a", "--rev", "{S+1}", "--", "sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE"], until: /(?:"PUT"\s+){6}/ },
  ...lines("compaction {S+3}", "compaction {S+3}", "compaction {S+4} --physical", `compaction ${FUTURE}`),
  ...lines("get a --rev {S+2}", "get a --rev {S+4}", "watch a --rev {S+1}"),
  { run: ["lock", "mutex", "echo", "held"] },
  { run: ["lock", "mutex", "sh", "-c", "exit 3"] },
  { run: ["lock", "mutex"], until: /mutex\// },
  { run: ["elect", "election", "candidate"], until: /candidate/ },
  ...lines("get mutex --prefix", "get election --prefix", "endpoint health", "endpoint hashkv", "alarm list"),
  ...lines("alarm disarm", "auth status", "user list", "role list", "role get root"),
  ...lines("move-leader 123", "get", "put", "del a --prefix --from-key", "nosuchcommand"),
  { run: ["del", "", "--prefix"] },
  { run: ["get", "", "--prefix"] },
];

function define(binaries: EtcdBinaries): void {
  test("writes the same and exits the same on Muster as on a real etcd", async () => {
    await using muster = await MusterProcess.start();
    await using etcd = await startEtcd(binaries);
    const [expected, got] = await Promise.all(
      [etcd.clientAddress, new URL(muster.clientUrl).host].map(async (address) =>
        (await EtcdctlV3Session.start(binaries, address)).play(STEPS),
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
