import { expect, test } from "vitest";
import type { EtcdCluster } from "../support/etcd-cluster.ts";
import { type EtcdNode, type V3Discovery, v3Discovery } from "../support/etcd-node.ts";
import { etcdctl } from "../support/etcdctl.ts";
import { writeManyTimes } from "../support/many-writes.ts";
import { registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";

const FORMING_TIMEOUT_MS = 150_000;
const BOOTING_TIMEOUT_MS = 60_000;
const OTHER_WRITES = 100_000;
/** Each is synced: on a slow disk they take a while. */
const MANY_WRITES_TIMEOUT_MS = 900_000;
const WAITS = /waiting for peers from discovery service.*"found-peers":2/;

/** All serve, a value that was put on one is read on every other, and the members are those that registered. */
async function expectOneCluster(cluster: EtcdCluster, tokenUrl: string): Promise<void> {
  await cluster.whenHealthy(FORMING_TIMEOUT_MS);
  await cluster.put(0, "greeting", tokenUrl);
  for (const position of cluster.nodes.keys()) {
    expect(await cluster.get(position, "greeting")).toBe(tokenUrl);
  }
  const started = cluster.nodes.map((node) => `${node.name}=${node.peerUrl}`).sort();
  expect(await cluster.members()).toEqual(started);
  expect(await registeredMembers(tokenUrl)).toEqual(started);
}

/** Starts two nodes, one after the other, and waits until the second waits for a third. */
async function startTwo(scenario: Scenario, discovery: V3Discovery): Promise<readonly EtcdNode[]> {
  const first = await scenario.startNode({ name: "first", discovery });
  await first.waitForOutput(/waiting for peers from discovery service/, BOOTING_TIMEOUT_MS);
  const second = await scenario.startNode({ name: "second", discovery });
  await second.waitForOutput(WAITS, BOOTING_TIMEOUT_MS);
  return [first, second];
}

/** Calls Muster's client listener with a real etcdctl. */
function operate({ binaries, muster }: Scenario, ...parameters: readonly string[]): Promise<string> {
  return etcdctl(binaries, { api: 3, endpoints: [muster.clientUrl] }, parameters);
}

await describeWithEtcdGo("3.7", "etcd 3.7 forms a cluster through Muster by v3 discovery", (binaries) => {
  test.for([1, 3, 5])("a cluster of %i; the registry knows how each member came", async (size) => {
    await using scenario = await Scenario.start(binaries);
    const tokenUrl = await scenario.muster.newToken(size);
    await expectOneCluster(await scenario.startCluster(size, v3Discovery(tokenUrl)), tokenUrl);
    const host = new URL(scenario.muster.publicUrl).host;
    const came = scenario.muster
      .output()
      .match(new RegExp(`"protocol":"v3","address":"127.0.0.1","host":"${host}"`, "g"));
    expect(came).toHaveLength(size);
  });

  test("a node too many says that the cluster is full, and ends", async () => {
    await using scenario = await Scenario.start(binaries);
    const tokenUrl = await scenario.muster.newToken(3);
    const discovery = v3Discovery(tokenUrl);
    const cluster = await scenario.startCluster(3, discovery);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    const late = await scenario.startNode({ name: "late", discovery });
    await late.waitForOutput(/discovery: cluster is full/, BOOTING_TIMEOUT_MS);
    await late.whenEnded();
    await expectOneCluster(cluster, tokenUrl);
  });

  test("Muster is killed while two of three wait, after many other writes and a compaction", {
    timeout: MANY_WRITES_TIMEOUT_MS,
  }, async () => {
    await using scenario = await Scenario.start(binaries);
    const tokenUrl = await scenario.muster.newToken(3);
    const discovery = v3Discovery(tokenUrl);
    const waiting = await startTwo(scenario, discovery);

    await writeManyTimes(scenario.muster.clientUrl, OTHER_WRITES);
    const revision =
      /"revision":(\d+)/.exec(await operate(scenario, "get", "nothing", "--write-out", "json"))?.[1] ?? "";
    expect(Number(revision)).toBeGreaterThan(OTHER_WRITES);
    await operate(scenario, "compaction", revision);
    await scenario.muster.kill("SIGKILL");
    await scenario.muster.restart();

    const third = await scenario.startNode({ name: "third", discovery });
    const cluster = scenario.clusterOf([...waiting, third]);
    await expectOneCluster(cluster, tokenUrl);
    expect(cluster.nodes.map((node) => node.starts)).toEqual([1, 1, 1]);
  });

  test("nodes that boot before Muster does form when it comes", async () => {
    await using scenario = await Scenario.start(binaries);
    const tokenUrl = await scenario.muster.newToken(3);
    await scenario.muster.kill("SIGKILL");
    const cluster = await scenario.startCluster(3, v3Discovery(tokenUrl));
    for (const node of cluster.nodes) {
      await node.waitForOutput(/failed to get cluster size from discovery service/, BOOTING_TIMEOUT_MS);
    }
    await scenario.muster.restart();
    await expectOneCluster(cluster, tokenUrl);
    expect(cluster.nodes.map((node) => node.starts)).toEqual([1, 1, 1]);
  });

  test("a token that was made by hand", async () => {
    await using scenario = await Scenario.start(binaries);
    await operate(scenario, "put", "/_etcd/registry/by-hand/_config/size", "3");
    const tokenUrl = `${scenario.muster.publicUrl}/by-hand`;
    const cluster = await scenario.startCluster(3, v3Discovery(tokenUrl));
    await expectOneCluster(cluster, tokenUrl);
    const listed = await operate(scenario, "get", "--prefix", "/_etcd/registry/by-hand/members", "--print-value-only");
    expect(
      listed
        .split("\n")
        .filter((line) => line !== "")
        .sort(),
    ).toEqual(await cluster.members());
  });

  test("on the public listener an etcdctl gets no further than etcd's discovery", async () => {
    await using scenario = await Scenario.start(binaries);
    const { token, endpoint } = v3Discovery(await scenario.muster.newToken(3));
    const nosy = (...parameters: readonly string[]) => etcdctl(binaries, { api: 3, endpoints: [endpoint] }, parameters);
    expect(await nosy("get", `/_etcd/registry/${token}/_config/size`, "--print-value-only")).toBe("3");
    for (const parameters of [
      ["get", "/", "--prefix"],
      ["get", `/_etcd/registry/${token}`, "--prefix"],
      ["put", "foo", "bar"],
      ["del", `/_etcd/registry/${token}/_config/size`],
      ["watch", "foo"],
      ["lease", "grant", "60"],
      ["member", "list"],
      ["user", "list"],
    ]) {
      await expect(nosy(...parameters), parameters.join(" ")).rejects.toThrow(/permission denied|PermissionDenied/);
    }
  });
});

await describeWithEtcdGo("3.6", "etcd 3.6 forms a cluster through Muster", (binaries) => {
  test("by v3 discovery", async () => {
    await using scenario = await Scenario.start(binaries);
    const tokenUrl = await scenario.muster.newToken(3);
    await expectOneCluster(await scenario.startCluster(3, v3Discovery(tokenUrl)), tokenUrl);
  });

  test("by v2 discovery", async () => {
    await using scenario = await Scenario.start(binaries);
    const tokenUrl = await scenario.muster.newToken(3);
    const cluster = await scenario.startCluster(3, tokenUrl);
    await expectOneCluster(cluster, tokenUrl);
    const late = await scenario.startNode({ name: "late", discovery: tokenUrl });
    await late.waitForOutput(/discovery: cluster is full/, BOOTING_TIMEOUT_MS);
  });

  test("by either, with tokens that were made by hand", async () => {
    await using scenario = await Scenario.start(binaries);
    for (const name of ["by-v2", "by-v3"]) {
      await operate(scenario, "put", `/_etcd/registry/${name}/_config/size`, "2");
      const tokenUrl = `${scenario.muster.publicUrl}/${name}`;
      const discovery = name === "by-v3" ? v3Discovery(tokenUrl) : tokenUrl;
      await expectOneCluster(await scenario.startCluster(2, discovery, name), tokenUrl);
    }
  });
});
