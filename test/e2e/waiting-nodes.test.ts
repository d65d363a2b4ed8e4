import { expect, test } from "vitest";
import type { EtcdNode } from "../support/etcd-node.ts";
import { memberUrl, putForm, registeredMembers, registrations } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { until } from "../support/until.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 120_000;

/** Starts so many nodes, one after the other, and waits until the last one waits; they are not supervised: who dies stays dead. */
async function startWaiting(scenario: Scenario, names: readonly string[], discovery: string) {
  const nodes: EtcdNode[] = [];
  for (const name of names) {
    const node = await scenario.startNode({ name, discovery });
    await node.waitForOutput(/waiting for more/, FORMING_TIMEOUT_MS);
    nodes.push(node);
  }
  return nodes;
}

/** All serve in the process that they were started in, in one cluster of exactly those who are registered. */
async function expectFormed(scenario: Scenario, discovery: string): Promise<void> {
  const cluster = scenario.clusterOf(scenario.nodes);
  await cluster.whenHealthy(FORMING_TIMEOUT_MS);
  const started = cluster.nodes.map(({ name, peerUrl }) => `${name}=${peerUrl}`).sort();
  expect(await cluster.members()).toEqual(started);
  expect(await registeredMembers(discovery)).toEqual(started);
  expect(cluster.nodes.map((node) => node.starts)).toEqual(cluster.nodes.map(() => 1));
}

await describeWithEtcd("nodes that wait survive what happens at their token", (binaries) => {
  test("an entry is refreshed, overwritten with the same value and with another one", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(3);
    await startWaiting(scenario, ["first", "second"], discovery);
    for (const name of ["first", "second"]) {
      const url = await memberUrl(discovery, name);
      const value = (await registrations(discovery)).find((each) => each.value.startsWith(`${name}=`))?.value ?? "";
      const puts = [
        ["prevExist=true", { refresh: "true", ttl: "600" }],
        ["", { value }],
        ["", { value: `${name}=http://127.0.0.1:9` }],
        ["prevExist=true", { value, ttl: "600" }],
      ] as const;
      for (const [query, form] of puts) {
        expect((await putForm(`${url}?${query}`, form)).status).toBe(200);
      }
    }
    await scenario.startNode({ name: "third", discovery });
    await expectFormed(scenario, discovery);
  });

  test.for([
    ["is deleted", {}],
    ["runs out of time", { ttl: "15" }],
  ] as const)("a stale member %s that they have counted", async ([how, ttl]) => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(4);
    const waiting = await startWaiting(scenario, ["first", "second"], discovery);
    const stale = `${discovery}/5ca1ab1e5ca1ab1e`;
    const registration = { value: "stale=http://127.0.0.1:9", ...ttl };
    expect((await putForm(`${stale}?prevExist=false`, registration)).status).toBe(201);
    for (const node of waiting) {
      await node.waitForOutput(/waiting for more.*"needed-peers":1/, FORMING_TIMEOUT_MS);
    }
    if (how === "is deleted") {
      expect((await fetch(stale, { method: "DELETE" })).status).toBe(200);
    }
    const gone = async () => ((await fetch(stale)).status === 404 ? true : undefined);
    await until(gone, { timeoutMs: FORMING_TIMEOUT_MS, what: "the stale member to go" });
    for (const name of ["third", "fourth"]) {
      await scenario.startNode({ name, discovery });
    }
    await expectFormed(scenario, discovery);
    for (const node of waiting) {
      expect(node.output()).not.toMatch(/duplicate/);
    }
  });
});
