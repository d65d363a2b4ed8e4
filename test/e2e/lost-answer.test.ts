import { expect, test } from "vitest";
import { type Registered, registeredMembers, registrations } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { until } from "../support/until.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 120_000;
const SIZE = 3;

/** Waits until so many have registered, over Muster's death. */
function registered(discovery: string, count: number): Promise<readonly Registered[]> {
  const attempt = async () => {
    const listed = await registrations(discovery);
    return listed.length === count ? listed : undefined;
  };
  return until(attempt, { timeoutMs: FORMING_TIMEOUT_MS, what: `${count} registrations` });
}

await describeWithEtcd("Muster dies between the sync of a registration and its answer", (binaries) => {
  test.for([
    ["first", 1],
    ["second", 2],
    ["completing", 3],
  ] as const)("the %s registration: all three form, in the order in which they came", async ([, deadly]) => {
    await using scenario = await Scenario.start(binaries, { supervised: true, diesBeforeAnswer: [deadly] });
    const discovery = await scenario.muster.newToken(SIZE);
    let listed: readonly Registered[] = [];
    for (let count = 1; count <= SIZE; count++) {
      await scenario.startNode({ name: `n${count}`, discovery, supervised: true });
      const before = listed;
      listed = await registered(discovery, count);
      expect(listed.slice(0, -1), "those who came before").toEqual(before);
      expect(listed.at(-1)?.value).toMatch(`n${count}=`);
    }
    // A listing can still be answered in the moment between the sync and the death: the supervisor has yet to see it.
    const died = async () => (scenario.muster.starts > 1 ? true : undefined);
    await until(died, { timeoutMs: FORMING_TIMEOUT_MS, what: "Muster's death and its second start" });

    const cluster = scenario.clusterOf(scenario.nodes);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(await cluster.members()).toEqual(await registeredMembers(discovery));
    expect(await registrations(discovery), "written once, however often they were repeated").toEqual(listed);
    expect(scenario.muster.starts, "Muster died once").toBe(2);
    const starts = scenario.nodes.map((node) => node.starts);
    expect(starts, "only who had no answer started again").toEqual(starts.map((_, i) => (i + 1 === deadly ? 2 : 1)));
  });
});
