import { expect, test } from "vitest";
import { etcdctl } from "../support/etcdctl.ts";
import { registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 120_000;

await describeWithEtcd("a node too many", (binaries) => {
  test("with --discovery-fallback=exit its own etcd says that the cluster is full", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(3);
    const cluster = await scenario.startCluster(3, discovery);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    const members = await cluster.members();

    const late = await scenario.startNode({ name: "late", discovery, flags: ["--discovery-fallback=exit"] });
    await late.waitForOutput(/discovery: cluster is full/, FORMING_TIMEOUT_MS);
    await late.whenEnded();

    expect(await cluster.members()).toEqual(members);
    expect(await registeredMembers(discovery)).toEqual(members);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
  });

  test("with the default fallback it becomes a working proxy", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(3);
    const cluster = await scenario.startCluster(3, discovery);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    const members = await cluster.members();

    const proxy = await scenario.startNode({ name: "late", discovery });
    await proxy.waitForOutput(/falling back to proxy/, FORMING_TIMEOUT_MS);
    await proxy.whenHealthy(FORMING_TIMEOUT_MS);
    await etcdctl(binaries, { api: 2, endpoints: [proxy.clientUrl] }, ["set", "/greeting", "through the proxy"]);
    for (const { clientUrl } of cluster.nodes) {
      // A plain read shows what that node has applied: it may be behind for a moment.
      const read = ["get", "--quorum", "/greeting"];
      expect(await etcdctl(binaries, { api: 2, endpoints: [clientUrl] }, read)).toBe("through the proxy");
    }

    expect(await cluster.members()).toEqual(members);
    expect(await registeredMembers(discovery)).toEqual(members);
  });
});
