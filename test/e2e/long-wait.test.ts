import { expect, test } from "vitest";
import { COMPACTION_INTERVAL_MS } from "../../src/base/limits.ts";
import { writeManyTimes } from "../support/many-writes.ts";
import { registeredMembers } from "../support/registered.ts";
import { Scenario } from "../support/scenario.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const FORMING_TIMEOUT_MS = 60_000;
const OTHER_WRITES = 100_000;

/** Lets Muster look every three seconds whether there is history to forget, and keep but one second of it. */
const compactsOften = {
  flags: ["--auto-compaction-retention", "1s", "--auto-compaction-revisions", "0"],
  preloads: [
    `data:text/javascript,${encodeURIComponent(`
      const { setInterval } = globalThis;
      globalThis.setInterval = (call, ms, ...rest) =>
        setInterval(call, ms === ${COMPACTION_INTERVAL_MS} ? 3000 : ms, ...rest);
    `)}`,
  ],
};

await describeWithEtcd("a long wait", (binaries) => {
  test("two nodes wait, 100,000 other writes and a compaction happen, Muster restarts, the third comes: all form", async () => {
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
    // The newest revision is one of six digits now, and nothing before it is kept.
    await scenario.muster.waitForOutput(/"revision":(\d{6}),"newest":\1,.*compacted the store/);
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
