/** Files with a time to live: none goes before its time, whatever the clocks say. That all go in the end is seen at the end. */

import type { Target } from "./target.ts";
import type { Worker } from "./worker.ts";

export const SHORT_LIVED = "/faults/short-lived/";

export const KEPT_FOR_S = 4;

/** Makes one and looks at it through others until shortly before its time. */
export async function lookForShortLived({ name: client, recorder, dice, targets, v2 }: Worker): Promise<void> {
  const maker = dice.one(targets);
  const value = recorder.newValue(client);
  const key = `${SHORT_LIVED}${value}`;
  const begun = recorder.now();
  const write = { client, muster: maker.name, key, value };
  const outcome = await recorder.write(write, () => v2.put(maker, write, { ttl: KEPT_FOR_S }));
  if (outcome.kind !== "done") return;
  for (let looks = 0; looks < 4; looks++) {
    const target: Target = dice.one(targets);
    const found = await v2.get(target, key);
    const age = recorder.now() - begun;
    if (age >= KEPT_FOR_S * 1000) return;
    if (found?.modRevision === 0) {
      const said = `${target.name} did not show it ${Math.round(age)} ms after ${maker.name} made it`;
      recorder.oddities.push(`${key}, to be kept for ${KEPT_FOR_S} s: ${said}`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, dice.below(900)));
  }
}
