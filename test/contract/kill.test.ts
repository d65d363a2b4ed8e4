import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, it, onTestFailed } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { privateBuild } from "../support/build.ts";
import { startProcess } from "../support/processes.ts";
import { Acknowledged, Follower } from "./follower.ts";

const KILLS = Number(process.env.MUSTER_TEST_KILLS ?? 50);
/** Brings back the times of the kills; what was under way at each is the machine's to choose. */
const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
const TIMEOUT_MS = 60_000 + KILLS * 5_000;
/** A process is killed so long after it was started (before it is open, even), or after it opened. */
const LONGEST_LOAD_MS = 250;
/** Every so many rounds the process gets as far as a compaction, however slow the machine is. */
const COMPACTED_EVERY = 5;
const child = fileURLToPath(new URL("lmdb-child.mjs", import.meta.url));

interface Kill {
  readonly afterOpen: boolean;
  readonly ms: number;
}

const kills = fc.sample(
  fc.record({
    afterOpen: fc.constantFrom(true, true, true, false),
    ms: fc.integer({ min: 0, max: LONGEST_LOAD_MS }),
  }),
  { seed: SEED, numRuns: KILLS },
);

/** Every so many rounds the process defragments all the time, and in every other one of them it has done so once. */
const DEFRAGMENTS_EVERY = 3;
const DEFRAGMENTED_EVERY = 2 * DEFRAGMENTS_EVERY;

/** What a process has told before the time runs: that it compacted now and then, where it has something to compact. */
function lineBefore(round: number, acknowledged: Acknowledged): RegExp {
  const compacts = acknowledged.seen > 1 && round % COMPACTED_EVERY === 0;
  if (compacts) return /^(compacted|failed) .*\n/m;
  return round % DEFRAGMENTED_EVERY === 1 ? /^(defragmented|failed .*)\n/m : /^(open|failed) .*\n/m;
}

async function runUntilKilled(parameters: readonly string[], { afterOpen, ms }: Kill, line: RegExp): Promise<string> {
  const running = await startProcess(process.execPath, [child, ...parameters]);
  if (afterOpen) {
    await running.waitForOutput(line);
  }
  await sleep(ms);
  await running.stop("SIGKILL");
  return running.output();
}

it(
  `lmdb: killed ${KILLS} times under load, loses nothing that was acknowledged (seed ${SEED})`,
  async () => {
    await using built = await privateBuild();
    const directory = await mkdtemp(join(tmpdir(), "muster-kill-"));
    onTestFailed(() => console.error(`look at what is left in ${directory}`));
    const acknowledged = new Acknowledged();
    const follower = new Follower();
    let writes = 0;
    let watched = 0;
    let defragmented = 0;
    for (const [round, kill] of kills.entries()) {
      const output = await runUntilKilled(
        [built.directory, directory, `r${round}`, round % DEFRAGMENTS_EVERY === 1 ? "defragment" : "load"],
        kill,
        lineBefore(round, acknowledged),
      );
      acknowledged.note(output);
      writes += acknowledged.writes.size;
      watched += acknowledged.watched.size;
      defragmented += output.match(/^defragmented$/gm)?.length ?? 0;
      const engine = await openLmdbEngine({ directory, clock: systemClock });
      try {
        await follower.follow(engine, acknowledged);
      } finally {
        await engine.close();
      }
    }
    expect(acknowledged.compactRevision, "some kills met a compacted store").toBeGreaterThan(1);
    expect(writes, "the kills met a working store").toBeGreaterThan(KILLS);
    expect(watched, "the kills met working watchers").toBeGreaterThan(KILLS);
    expect(defragmented, "some kills met a store that was defragmented").toBeGreaterThan(0);
    console.info(
      `${KILLS} kills, ${defragmented} defragmentations, ${writes} acknowledged transactions, ${watched} revisions shown to watchers`,
    );
    await rm(directory, { recursive: true });
  },
  TIMEOUT_MS,
);
