import { expect, test } from "vitest";
import { TREE_HISTORY_EVENTS } from "../../src/base/tree-limits.ts";
import { writeManyTimes } from "../support/many-writes.ts";
import { registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { until } from "../support/until.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 120_000;
const OTHER_WRITES = 100_000;
const COMPACTION_TIMEOUT_MS = 120_000;
/** Disks that take long to sync need most of it for the writes. */
const TIMEOUT_MS = 900_000;

/** Keeps but one second of history; Muster looks all the time whether there is some to forget. */
const compactsOften = { flags: ["--auto-compaction-retention", "1s", "--auto-compaction-revisions", "0"] };

/** Waits until the store has forgotten all but what v2 watches find in memory. */
async function compacted(clientUrl: string): Promise<void> {
  const newest = Number((await fetch(`${clientUrl}/v2/keys/load`)).headers.get("x-etcd-index"));
  const forgotten = `${clientUrl}/v2/keys/load?wait=true&recursive=true&waitIndex=${newest - TREE_HISTORY_EVENTS - 1}`;
  await until(async () => ((await fetch(forgotten)).status === 400 ? true : undefined), {
    timeoutMs: COMPACTION_TIMEOUT_MS,
    what: "the compaction",
  });
}

await describeWithEtcd("a long wait", (binaries) => {
  const title =
    "two nodes wait, 100,000 other writes and a compaction happen, Muster restarts, the third comes: all form";
  test(title, { timeout: TIMEOUT_MS }, async () => {
    await using scenario = await Scenario.start(binaries, compactsOften);
    const discovery = await scenario.muster.newToken(3);
    const waiting = [];
    for (const name of ["first", "second"]) {
      const node = await scenario.startNode({ name, discovery });
      await node.waitForOutput(/waiting for more/, FORMING_TIMEOUT_MS);
      waiting.push(node);
    }
    const before = await registeredMembers(discovery);

    await writeManyTimes(scenario.muster.clientUrl, OTHER_WRITES);
    await compacted(scenario.muster.clientUrl);
    await scenario.muster.kill("SIGKILL");
    await scenario.muster.restart();
    expect(await registeredMembers(discovery)).toEqual(before);

    const third = await scenario.startNode({ name: "third", discovery });
    const cluster = scenario.clusterOf([...waiting, third]);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    expect(await cluster.members()).toEqual(await registeredMembers(discovery));
    expect(cluster.nodes.map((node) => node.starts)).toEqual([1, 1, 1]);
  });
});
