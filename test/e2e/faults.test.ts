/**
 * Three Musters over three real etcds, in network namespaces where the machine allows, under a steady load, while faults
 * befall them. MUSTER_TEST_FAULT_MINUTES lets it go on (`npm run faults`), MUSTER_TEST_SEED brings back the plan of a run;
 * what was under way at each of its moments is the machine's to choose.
 */
import { expect, test } from "vitest";
import { Balancer } from "../faults/balancer.ts";
import { longPlan, type PlanOptions, shortPlan } from "../faults/fault-plan.ts";
import { runFaults } from "../faults/fault-run.ts";
import { KeptThings } from "../faults/kept-things.ts";
import { openNetwork } from "../faults/namespace-network.ts";
import { RealCluster, RealClusters } from "../faults/real-clusters.ts";
import { Relay } from "../faults/relay.ts";
import { StoreEtcds } from "../faults/store-etcds.ts";
import { StoreMuster } from "../faults/store-muster.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const MINUTES = Number(process.env.MUSTER_TEST_FAULT_MINUTES ?? 0);
const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
const MUSTERS = 3;
const ETCDS = Number(process.env.MUSTER_TEST_FAULT_ETCDS ?? 3);
/** What the steps of a short plan and all that comes before and after them may take. */
const SHORT_MS = 300_000;

await describeWithEtcd("Musters over an etcd cluster, and what befalls them", (binaries) => {
  test(`nothing that was acknowledged is lost, and all is well afterwards (seed ${SEED})`, {
    timeout: MINUTES * 60_000 + 2 * SHORT_MS,
  }, async () => {
    await using kept = new KeptThings();
    const network = kept.use(await openNetwork());
    const etcds = ETCDS === 0 ? undefined : kept.use(await StoreEtcds.start(binaries, network, ETCDS));
    // The whole etcd, or a part of it.
    const storePrefix = SEED % 2 === 0 ? "" : "muster/";
    const count = etcds === undefined ? 1 : MUSTERS;
    // The last one's answers are to be lost on their way from the store.
    const relayed = etcds === undefined ? undefined : count - 1;
    const musters: StoreMuster[] = [];
    for (let number = 0; number < count; number++) {
      const place = await network.place(`m${number + 1}`);
      const targets = etcds?.endpoints ?? [];
      const relay = number === relayed ? kept.use(await Relay.start(place, targets)) : undefined;
      const store = etcds === undefined ? undefined : storeFlags(relay?.endpoints ?? targets, storePrefix);
      musters.push(kept.use(await StoreMuster.start(place, store, relay)));
    }
    const balancer = kept.use(await Balancer.start(musters));
    const real = kept.use(new RealClusters([() => RealCluster.open(binaries, balancer.url)]));
    const options: PlanOptions = {
      ...{ musters: count, etcds: etcds?.nodes.length ?? 0, canCut: network.canCut },
      ...(relayed === undefined ? {} : { relayed }),
    };
    const lines: string[] = [];
    const { wrong, summary } = await runFaults({
      ...{ network, etcds, musters, seed: SEED, storePrefix },
      steps: MINUTES === 0 ? shortPlan(SEED, options) : longPlan(SEED, options),
      lastsMs: MINUTES === 0 ? SHORT_MS : MINUTES * 60_000,
      between: (place) => (place % 2 === 0 ? real.goOn() : Promise.resolve([])),
      say: (line) => {
        lines.push(line);
        if (MINUTES > 0) console.info(line);
      },
    });
    const unformed = await real.end();
    const told = { ...summary, "real clusters formed": real.formed };
    console.info(`${network.kind}, store prefix "${storePrefix}", seed ${SEED}:\n${lines.join("\n")}`, told);
    const outputs = musters.map((muster) => `--- ${muster.name} (${muster.clientUrl}):\n${muster.output()}`);
    const all = [...wrong, ...unformed];
    if (all.length > 0) console.error([...all, ...outputs, etcds?.output()].join("\n"));
    expect(all).toEqual([]);
    expect(real.formed).toBeGreaterThan(0);
  });
});

function storeFlags(endpoints: readonly string[], prefix: string): readonly string[] {
  return ["--store", `etcd://${endpoints.join(",")}`, ...(prefix === "" ? [] : ["--store-prefix", prefix])];
}
