import { expect, test } from "vitest";
import { registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

/** etcd waits up to 2, 4, 8, … s between its attempts to reach a discovery service that was gone. */
const FORMING_TIMEOUT_MS = 150_000;
const BOOTING_TIMEOUT_MS = 60_000;

await describeWithEtcd("Muster goes away", (binaries) => {
  test("killed and started again while two of three nodes wait: all three form when the third comes", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(3);
    const first = await scenario.startNode({ name: "first", discovery });
    const second = await scenario.startNode({ name: "second", discovery });
    for (const node of [first, second]) {
      await node.waitForOutput(/waiting for more.*"needed-peers":1/, BOOTING_TIMEOUT_MS);
    }
    const registered = await registeredMembers(discovery);

    await scenario.muster.kill("SIGKILL");
    for (const node of [first, second]) {
      await node.waitForOutput(/(failed|error).*(connection refused|EOF|reset)/, BOOTING_TIMEOUT_MS);
    }
    await scenario.muster.restart();
    expect(await registeredMembers(discovery)).toEqual(registered);

    const third = await scenario.startNode({ name: "third", discovery });
    const cluster = scenario.clusterOf([first, second, third]);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(await cluster.members()).toEqual(await registeredMembers(discovery));
    expect(cluster.nodes.map((node) => node.starts)).toEqual([1, 1, 1]);
  });

  test("nodes that boot before Muster does form when it comes", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(3);
    await scenario.muster.kill("SIGKILL");
    const cluster = await scenario.startCluster(3, discovery);
    for (const node of cluster.nodes) {
      await node.waitForOutput(/connection refused/, BOOTING_TIMEOUT_MS);
    }
    await scenario.muster.restart();
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(await cluster.members()).toEqual(await registeredMembers(discovery));
    expect(cluster.nodes.map((node) => node.starts)).toEqual([1, 1, 1]);
  });

  test("nodes start again from their data directories while Muster is down", async () => {
    await using scenario = await Scenario.start(binaries);
    const cluster = await scenario.startCluster(3, await scenario.muster.newToken(3));
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    await cluster.put(0, "kept", "over the restart");
    const members = await cluster.members();

    await scenario.muster.kill("SIGKILL");
    await Promise.all(cluster.nodes.map((node) => node.kill("SIGKILL")));
    await Promise.all(cluster.nodes.map((node) => node.restart()));

    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(await cluster.get(2, "kept")).toBe("over the restart");
    expect(await cluster.members(1)).toEqual(members);
  });
});
