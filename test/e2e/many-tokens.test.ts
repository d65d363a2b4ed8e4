import { setMaxListeners } from "node:events";
import { expect, test } from "vitest";
import { checkFormations } from "../faults/check-formations.ts";
import { Dice } from "../faults/dice.ts";
import { formCluster } from "../faults/forming.ts";
import { KeptThings } from "../faults/kept-things.ts";
import { Load } from "../faults/load.ts";
import { LoopbackNetwork } from "../faults/place.ts";
import { readStoreLog } from "../faults/read-store-log.ts";
import { StoreEtcds } from "../faults/store-etcds.ts";
import { StoreLog } from "../faults/store-log.ts";
import { StoreMuster } from "../faults/store-muster.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const TOKENS = 100;
const MUSTERS = 3;
const FORMING_MS = 200_000;
const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);

await describeWithEtcd("several Musters over one etcd", (binaries) => {
  test(`${TOKENS} tokens that form at once through any of them give all their nodes one list (seed ${SEED})`, async () => {
    await using kept = new KeptThings();
    const network = kept.use(new LoopbackNetwork());
    const etcds = kept.use(await StoreEtcds.start(binaries, network, 1));
    const musters: StoreMuster[] = [];
    for (let number = 1; number <= MUSTERS; number++) {
      const store = ["--store", `etcd://${etcds.endpoints.join(",")}`];
      musters.push(kept.use(await StoreMuster.start(await network.place(`m${number}`), store)));
    }
    const dice = new Dice(SEED);
    const signal = AbortSignal.timeout(FORMING_MS);
    // Every node listens to it.
    setMaxListeners(0, signal);
    const options = { targets: musters, signal };
    const clusters = Array.from({ length: TOKENS }, () => formCluster({ ...options, dice: dice.fork() }));
    const formations = await Promise.all(clusters);
    // Its workers read what the store has.
    using load = new Load(musters, dice);
    const log = await readStoreLog({ network, etcds, musters, storePrefix: "" }, load.worker("reader"));
    expect(checkFormations(formations, new StoreLog(log))).toEqual([]);
    const formed = formations.flatMap(({ nodes }) => nodes).filter(({ outcome }) => outcome.kind === "formed");
    expect(formed.length).toBe(formations.reduce((sum, { size }) => sum + size, 0));
  });
});
