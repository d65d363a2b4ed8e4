import { expect, test } from "vitest";
import { memberUrl, putForm, registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 120_000;

async function expectGone(url: string): Promise<void> {
  const answer = await fetch(url);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ errorCode: 100, message: "Key not found" });
}

/** As an operator does it, who then looks whether it is gone. Gives the member's URL. */
async function deleteMember(discovery: string, name: string): Promise<string> {
  const url = await memberUrl(discovery, name);
  expect((await fetch(url, { method: "DELETE" })).status).toBe(200);
  await expectGone(url);
  return url;
}

await describeWithEtcd("the repair of a broken bootstrap", (binaries) => {
  test("a lost machine's member is deleted: the node that had counted it forgets it, and the cluster forms", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(3);
    const waiting = await scenario.startNode({ name: "waiting", discovery });
    const lost = await scenario.startNode({ name: "lost", discovery });
    await waiting.waitForOutput(/waiting for more.*"needed-peers":1/, FORMING_TIMEOUT_MS);
    await lost.stop();
    await deleteMember(discovery, "lost");

    // Its wait was cut, so it reads the list afresh; nothing is done to it by hand.
    const others = await Promise.all(["new0", "new1"].map((name) => scenario.startNode({ name, discovery })));
    const cluster = scenario.clusterOf([waiting, ...others]);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(waiting.output()).not.toMatch(/duplicate/);
    expect(await cluster.members()).toEqual(cluster.nodes.map(({ name, peerUrl }) => `${name}=${peerUrl}`).sort());
    expect(await cluster.members()).toEqual(await registeredMembers(discovery));
  });

  test("the same node registers anew after its member was deleted, and the cluster forms", async () => {
    await using scenario = await Scenario.start(binaries);
    const discovery = await scenario.muster.newToken(2);
    const broken = await scenario.startNode({ name: "broken", discovery });
    await broken.waitForOutput(/waiting for more.*"needed-peers":1/, FORMING_TIMEOUT_MS);
    await broken.kill("SIGKILL");

    const url = await deleteMember(discovery, "broken");
    await broken.restart();
    const other = await scenario.startNode({ name: "other", discovery });
    const cluster = scenario.clusterOf([broken, other]);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(await cluster.members()).toEqual(await registeredMembers(discovery));
    expect(await memberUrl(discovery, "broken")).toBe(url);
  });

  test("_state is deleted, seen gone, and made anew", async () => {
    await using scenario = await Scenario.start(binaries);
    const state = `${await scenario.muster.newToken(3)}/_state`;
    expect((await putForm(`${state}?prevExist=false`, { value: "started" })).status).toBe(201);
    expect((await putForm(`${state}?prevExist=false`, { value: "started" })).status).toBe(412);
    expect((await fetch(state, { method: "DELETE" })).status).toBe(200);
    await expectGone(state);
    expect((await putForm(`${state}?prevExist=false`, { value: "started" })).status).toBe(201);
  });
});
