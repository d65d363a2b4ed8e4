/**
 * Bootstraps under fire. MUSTER_TEST_ROUNDS sets how many, MUSTER_TEST_SEED brings back the times of a run; what was
 * under way at each is the machine's to choose.
 */
import { expect, test } from "vitest";
import { roundPlans } from "../support/chaos-plan.ts";
import { type RoundOutcome, runRound } from "../support/chaos-round.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";

const ROUNDS = Number(process.env.MUSTER_TEST_ROUNDS ?? 30);
const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
/** Rounds at a time: most of a round is waiting. */
const LANES = 4;
const LONGEST_ROUND_MS = 150_000;

await describeWithEtcd("nodes and Muster are killed at random moments of a bootstrap", (binaries) => {
  test(`${ROUNDS} bootstraps form (seed ${SEED})`, { timeout: (1 + ROUNDS / LANES) * LONGEST_ROUND_MS }, async () => {
    const outcomes: RoundOutcome[] = [];
    const left = [...roundPlans(SEED, ROUNDS).entries()];
    const runLane = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [number, plan] = next;
        try {
          outcomes.push(await runRound(binaries, plan));
        } catch (cause) {
          // The other lanes end their rounds and begin none.
          left.length = 0;
          throw new Error(`round ${number} of seed ${SEED}`, { cause });
        }
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, runLane));
    const met = {
      "nodes killed": sum(outcomes, "nodeKills"),
      "of them without their data": sum(outcomes, "wipes"),
      "kills of Muster": sum(outcomes, "musterKills"),
      "before it answered": sum(outcomes, "unanswered"),
    };
    const longest = Math.max(...outcomes.map(({ ms }) => ms));
    console.info(`${outcomes.length} bootstraps (seed ${SEED}), the longest took ${longest} ms:`, met);
    for (const lane of lanes) {
      if (lane.status === "rejected") {
        throw lane.reason;
      }
    }
    expect(outcomes).toHaveLength(ROUNDS);
    // In a few rounds chance may leave one out.
    if (ROUNDS >= 20) {
      for (const [fault, count] of Object.entries(met)) {
        expect(count, fault).toBeGreaterThan(0);
      }
    }
  });
});

function sum(outcomes: readonly RoundOutcome[], field: keyof RoundOutcome): number {
  return outcomes.reduce((total, outcome) => total + outcome[field], 0);
}
