import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { MusterProcess } from "../support/muster-process.ts";
import { PlayedNode } from "../support/played-node.ts";
import { startProcess } from "../support/processes.ts";

const LOAD = fileURLToPath(new URL("../support/token-load.mjs", import.meta.url));
const WAITS = 1000;
const REGISTRATIONS_PER_SECOND = 100;
/** Idle and loaded in turn: on a machine with other work, only what holds in every round is Muster's doing. */
const ROUNDS = 5;
const BOOTSTRAPS = 20;
const LARGEST_RATIO = 2;
const LOADED_TIMEOUT_MS = 120_000;

/** How long the bootstrap of three nodes takes from /new on, in ms. */
async function bootstrapMs(muster: MusterProcess): Promise<number> {
  const begun = performance.now();
  const url = await muster.newToken(3);
  const nodes = ["a0", "b1", "c2"].map((id) => new PlayedNode(url, id));
  try {
    await Promise.all(nodes.map((node) => node.bootstrap(nodes.length)));
    return performance.now() - begun;
  } finally {
    for (const node of nodes) node[Symbol.dispose]();
  }
}

async function medianMs(muster: MusterProcess): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < BOOTSTRAPS; count++) times.push(await bootstrapMs(muster));
  return times.sort((a, b) => a - b)[BOOTSTRAPS / 2] ?? Number.NaN;
}

test(`${WAITS} waits and ${REGISTRATIONS_PER_SECOND} registrations a second at one token do not slow another beyond twice its idle time`, async () => {
  await using muster = await MusterProcess.start();
  await medianMs(muster);
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const idleMs = await medianMs(muster);
    const busy = await muster.newToken(1000);
    await using load = await startProcess(process.execPath, [
      ...[LOAD, busy, String(WAITS), String(REGISTRATIONS_PER_SECOND)],
    ]);
    await load.waitForOutput(/loaded/, LOADED_TIMEOUT_MS);
    // What the load takes of the processors is not Muster's doing: whatever else is to run goes before it.
    setPriority(load.pid, constants.priority.PRIORITY_LOW);
    const loadedMs = await medianMs(muster);
    await load.stop();
    const [, registrations = "0"] = /(\d+) registrations/.exec(load.output()) ?? [];
    expect(Number(registrations), "the load was one").toBeGreaterThan(0);
    ratios.push(loadedMs / idleMs);
    console.info(`idle ${idleMs.toFixed(1)} ms, loaded ${loadedMs.toFixed(1)} ms; ${load.output().split("\n")[1]}`);
  }
  expect(Math.min(...ratios), `ratios ${ratios.map((each) => each.toFixed(2)).join(" ")}`).toBeLessThan(LARGEST_RATIO);
});
