import { expect, test } from "vitest";
import type { EtcdCluster } from "../support/etcd-cluster.ts";
import { registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 120_000;

/** All serve, a value that was put on one is read on every other, and the members are those that registered. */
async function expectOneCluster(cluster: EtcdCluster, discovery: string): Promise<void> {
  await cluster.whenHealthy(FORMING_TIMEOUT_MS);
  await cluster.put(0, "greeting", discovery);
  for (const position of cluster.nodes.keys()) {
    expect(await cluster.get(position, "greeting")).toBe(discovery);
  }
  const started = cluster.nodes.map((node) => `${node.name}=${node.peerUrl}`).sort();
  expect(await cluster.members()).toEqual(started);
  expect(await registeredMembers(discovery)).toEqual(started);
}

await describeWithEtcd("real etcds form a cluster through Muster", (binaries) => {
  test.for([1, 3, 5])("a cluster of %i", async (size) => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(size);
    await expectOneCluster(await scenario.startCluster(size, discovery), discovery);
  });

  test("five clusters of three at the same time", async () => {
    await using scenario = await Scenario.start(binaries);
    const form = async (number: number): Promise<void> => {
      const discovery = await scenario.muster.newToken(3);
      await expectOneCluster(await scenario.startCluster(3, discovery, `c${number}n`), discovery);
    };
    await Promise.all([1, 2, 3, 4, 5].map(form));
  });

  test("a node that crashes while it waits registers again when its supervisor starts it", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(2);
    const crashing = await scenario.startNode({ name: "crashing", discovery, supervised: true });
    const waits = () => crashing.waitForOutput(/waiting for more.*"needed-peers":1/, FORMING_TIMEOUT_MS);
    await waits();
    await crashing.crash();
    await waits();
    const other = await scenario.startNode({ name: "other", discovery });
    await expectOneCluster(scenario.clusterOf([crashing, other]), discovery);
    expect(crashing.starts).toBe(2);
  });

  test("a token that was never issued: the node says so and exits", async () => {
    await using scenario = await Scenario.start(binaries);
    const unknown = `${scenario.muster.publicUrl}/${"0123456789abcdef".repeat(2)}`;
    const node = await scenario.startNode({ name: "lost", discovery: unknown });
    // etcd 3.4 hands on v2's words, others have words of their own.
    await node.waitForOutput(/size key not found|100: Key not found/, FORMING_TIMEOUT_MS);
    await node.whenEnded();
  });
});
