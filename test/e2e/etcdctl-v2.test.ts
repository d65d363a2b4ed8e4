import { expect, test } from "vitest";
import { startEtcd } from "../support/etcd-server.ts";
import { EtcdctlSession, NO_INDEX, type Step } from "../support/etcdctl-session.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { Scenario } from "../support/scenario.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 120_000;

/** Tells of the change that exec-watch tells of, with its index where `named` finds it. */
const TELL = [
  "--",
  "sh",
  "-c",
  'echo "$ETCD_WATCH_ACTION $ETCD_WATCH_KEY=$ETCD_WATCH_VALUE Index: $ETCD_WATCH_MODIFIED_INDEX"',
];

const lines = (...commands: readonly string[]): readonly Step[] =>
  commands.map((command) => ({ run: command.split(" ") }));

/** Each command with its options, in what it does and in what it refuses. */
const STEPS: readonly Step[] = [
  ...lines("set /a one", "get /a", "-o extended get /a", "-o json get /a", "get --quorum /a", "get --sort /a"),
  ...lines(
    "get /none",
    "get /",
    "set /",
    "set /a two",
    "-o extended set /a three",
    "set --ttl 500 /t soon",
    "-o extended get /t",
  ),
  ...lines("set --ttl 0 /t later", "-o extended get /t", "set --ttl nine /t x", "-o json set --ttl 500 /t again"),
  ...lines(
    "set --swap-with-value three /a four",
    "set --swap-with-value three /a five",
    "set --swap-with-value x /none y",
  ),
  ...lines("set --swap-with-index {S+3} /a x", `set --swap-with-index ${NO_INDEX} /a x`),
  { run: ["set", "--", "/text", "two words & ü <tag> \u2028"] },
  { run: ["get", "/text"] },
  { run: ["-o", "json", "get", "/text"] },
  { run: ["set", "/empty", ""] },
  ...lines("get /empty", "mk /m made", "mk /m again", "mk --ttl 500 /mt made", "mk /d/e/f deep", "mk /a/below x"),
  ...lines("mk --in-order /queue first", "mk --in-order /queue second", "ls --sort /queue", "mk --in-order /a x"),
  ...lines("mkdir /dir", "mkdir /dir", "mkdir /a", "mkdir --ttl 500 /dirt", "mkdir /x/y/z", "mkdir /a/b", "mkdir /"),
  ...lines("setdir /sd", "setdir --ttl 500 /sd", "setdir --ttl 0 /sd", "setdir /a", "set /dir value"),
  ...lines("update /a updated", "update /none x", "update --ttl 500 /a x", "-o extended update /a y", "update /dir x"),
  ...lines("updatedir /sd", "updatedir --ttl 500 /sd", "updatedir /none", "-o extended get /sd"),
  ...lines(
    "ls --sort",
    "ls --sort /",
    "ls --sort -p /",
    "ls --sort -r /d",
    "ls --sort -r -p /",
    "ls /a",
    "ls /none",
    "ls -p /dir",
  ),
  ...lines(
    "-o json ls --sort /x",
    "-o extended ls --sort /x",
    "ls --quorum --sort /d",
    "set /_hidden h",
    "get /_hidden",
    "ls --sort /",
  ),
  ...lines("rm /dir", "rmdir /dir", "rmdir /dir", "rmdir /d", "rmdir /m", "get /m", "rm /none", "rm /"),
  ...lines("rm --dir /dirt", "rm --dir /x", "rm -r /x", "rm --recursive /d", "rm -r /none", "ls /d"),
  ...lines("rm --with-value wrong /text", `rm --with-index ${NO_INDEX} /text`, "rm --with-value again /t", "get /t"),
  ...lines("-o json rm /mt", "-o extended rm /empty", "rm --with-value x /sd"),
  // The past: what was done to /w, one by one.
  ...lines("set /w 1", "set /w 2", "rm /w", "mkdir /w", "set /w/x 3", "rm -r /w"),
  ...lines(
    "watch --after-index {S+1} /a",
    "-o json watch --after-index {S+1} /a",
    "-o extended watch --after-index {S+1} /a",
  ),
  ...lines("watch --recursive --after-index {S+1} /queue"),
  {
    run: ["watch", "--forever", "--recursive", "--after-index", "{S+1}", "/w"],
    until: /x\n3/,
  },
  { run: ["watch", "-f", "--after-index", "{S+1}", "/w"], until: /PrevNode/ },
  // The future.
  { run: ["watch", "/live"], meanwhile: ["set", "/live", "now"] },
  { run: ["-o", "json", "watch", "/live"], meanwhile: ["update", "/live", "then"] },
  { run: ["watch", "-r", "/tree"], meanwhile: ["set", "/tree/x/y", "leaf"] },
  { run: ["watch", "/tree/x/y"], meanwhile: ["rm", "-r", "/tree"] },
  // Without --recursive etcdctl 3.4 runs nothing, on etcd either.
  { run: ["exec-watch", "--recursive", "/exec", ...TELL], meanwhile: ["set", "/exec", "x"], until: /Index/ },
  { run: ["exec-watch", "--recursive", "/exec", ...TELL], meanwhile: ["rm", "/exec"], until: /Index/ },
  { run: ["exec-watch", "-r", "/", ...TELL], meanwhile: ["mk", "--in-order", "/exec/q", "x"], until: /Index/ },
  { run: ["watch", "/soon"], meanwhile: ["mk", "--ttl", "10", "/soon", "x"] },
  { run: ["watch", "/soon"], meanwhile: ["ls", "/soon"] },
  ...lines("get /soon", "get", "set", "set /onlykey", "mk", "rm", "ls --nonsense /", "nosuchcommand"),
];

await describeWithEtcd("etcdctl in v2", (binaries) => {
  // 3.5's v2 is no reference: 3.5.16 answers 500 to an update of a directory.
  const reference = binaries.version.startsWith("3.4.");
  const title = reference ? "" : ` (skipped: etcd ${binaries.version} is no reference for v2)`;
  test.skipIf(!reference)(`writes the same and exits the same on Muster as on a real etcd${title}`, async () => {
    await using muster = await MusterProcess.start();
    await using etcd = await startEtcd(binaries, ["--enable-v2=true"]);
    const [expected, got] = await Promise.all(
      [etcd, muster].map(async ({ clientUrl }) => (await EtcdctlSession.start(binaries, clientUrl)).play(STEPS)),
    );
    expect(got).toEqual(expected);
  });

  test("cluster-health and member list find one member, healthy, by the address that they were given", async () => {
    await using muster = await MusterProcess.start();
    const session = await EtcdctlSession.start(binaries, muster.clientUrl);
    const { output } = await session.run(["member", "list"]);
    const [, id = ""] =
      /^([0-9a-f]{1,16}): name=muster peerURLs=<url> clientURLs=<url> isLeader=true\n$/.exec(output) ?? [];
    expect(id, output).not.toBe("");
    expect(await session.run(["cluster-health"])).toMatchObject({
      code: 0,
      output: `member ${id} is healthy: got healthy result from <url>\ncluster is healthy\n`,
    });
    await muster.kill("SIGTERM");
    await muster.restart();
    expect((await session.run(["member", "list"])).output).toBe(output);
  });

  test("the one member cannot be changed, and etcdctl says why", async () => {
    await using muster = await MusterProcess.start();
    const session = await EtcdctlSession.start(binaries, muster.clientUrl);
    const [id = ""] = (await session.run(["member", "list"])).output.split(":");
    for (const line of [
      ["member", "add", "second", "http://127.0.0.1:2380"],
      ["member", "update", id, "http://127.0.0.1:2380"],
    ]) {
      const { code, output } = await session.run(line);
      expect(code).not.toBe(0);
      expect(output).toMatch(/Leave the members as they are: Muster is one process/);
    }
    expect(await session.run(["member", "remove", id])).toMatchObject({ code: 1 });
    expect((await session.run(["member", "list"])).output).toMatch(`${id}: name=muster`);
  });

  test("--advertise-client-urls is where etcdctl goes on: one that nobody listens on leads it astray", async () => {
    const urls = ["http://127.0.0.1:1", "https://muster.example.com"];
    await using muster = await MusterProcess.start({ flags: ["--advertise-client-urls", urls.join(",")] });
    expect(await (await fetch(`${muster.clientUrl}/v2/machines`)).text()).toBe(urls.join(", "));
    const members: unknown = await (await fetch(`${muster.clientUrl}/v2/members`)).json();
    expect(members).toMatchObject({ members: [{ name: "muster", clientURLs: urls }] });
    const session = await EtcdctlSession.start(binaries, muster.clientUrl);
    expect((await session.run(["ls", "/"])).code).not.toBe(0);
    expect((await session.run(["--no-sync", "ls", "/"])).code).toBe(0);
  });

  test("a custom discovery URL below /v2/keys forms a cluster, and the node too many is told so", async () => {
    await using scenario = await Scenario.start(binaries);
    const { clientUrl } = scenario.muster;
    const discovery = `${clientUrl}/v2/keys/some/path/6c007a14875d53d9bf0ef5a6fc0257c817f0fb83`;
    const size = await fetch(`${discovery}/_config/size`, { method: "PUT", body: new URLSearchParams({ value: "3" }) });
    expect(size.status).toBe(201);
    const cluster = await scenario.startCluster(3, discovery);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(await cluster.members()).toEqual(cluster.nodes.map(({ name, peerUrl }) => `${name}=${peerUrl}`));
    await cluster.put(0, "key", "value");
    expect(await cluster.get(2, "key")).toBe("value");
    const late = await scenario.startNode({
      name: "late",
      discovery,
      flags: ["--discovery-fallback=exit"],
      quiet: true,
    });
    await late.whenEnded();
    expect(late.output()).toMatch(/discovery cluster is full|cluster is full/);
  });
});
