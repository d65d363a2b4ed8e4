import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { Follower } from "../contract/follower.ts";
import { put } from "../contract/requests.ts";
import { type Build, privateBuild } from "../support/build.ts";
import { describeWithStrace } from "../support/with-strace.ts";
import { FATES, type FateName, fateOf, randomFrom } from "./power-cut.ts";
import { type Cut, DISK, Recording, type Stopped } from "./recording.ts";

/** How often the power is cut; the long version is MUSTER_TEST_POWER_CUTS=2000. */
const CUTS = Number(process.env.MUSTER_TEST_POWER_CUTS ?? 120);
/** Brings back the moments and what is torn at them; what was under way then is the machine's to choose. */
const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
const CUTS_AFTER_FAILURES = Math.ceil(CUTS / 4);
/** Cuts of one recording: a longer test makes more of them. */
const CUTS_PER_RECORDING = 250;
const TIMEOUT_MS = 240_000 + CUTS * 1_000;
/** Transactions of each process: the first starts on nothing, each other finds what the one before had not synced. */
const LIVES = [200, 60, 60];
/** What each process tells first, and what the power is cut at in any case. */
const FIRST_TOLD = 5;

interface Lost {
  readonly cut: Cut;
  readonly fate: FateName;
  readonly why: unknown;
}

/** Cuts the power at each of these moments, and gives those after which something was wrong. */
async function cutPower(
  recording: Recording,
  cuts: readonly (Cut & { readonly fate: FateName })[],
  random: () => number,
): Promise<readonly Lost[]> {
  const lost: Lost[] = [];
  const fates = new Map<Cut, FateName>(cuts.map((cut) => [cut, cut.fate]));
  await recording.play(cuts, async (cut, now) => {
    const fate = fates.get(cut) ?? "any";
    const path = await mkdtemp(join(tmpdir(), "muster-cut-"));
    try {
      await now.write(path, fateOf(fate, random));
      await expectNothingLost(join(path, DISK), now, recording);
    } catch (why) {
      lost.push({ cut, fate, why });
    } finally {
      await rm(path, { recursive: true });
    }
  });
  return lost;
}

async function expectNothingLost(directory: string, now: Stopped, { all }: Recording): Promise<void> {
  const acknowledged = now.acknowledged();
  const engine = await openLmdbEngine({ directory, clock: systemClock });
  try {
    const follower = new Follower();
    await follower.skipCompacted(engine, acknowledged, all);
    await follower.follow(engine, acknowledged);
    await engine.txn({ compares: [], success: [put("single/after", "the cut")], failure: [] });
  } finally {
    await engine.close();
  }
}

/**
 * So many moments at random, half of them right when something was acknowledged; among them those when a process that
 * starts on what another left tells the first things of it.
 */
function someOf(recording: Recording, count: number, random: () => number): readonly Cut[] {
  const all = recording.cuts();
  const told = all.filter(({ isTold }) => isTold);
  const chosen = new Set(LIVES.flatMap((_, life) => told.filter((cut) => cut.life === life).slice(0, FIRST_TOLD)));
  while (chosen.size < count) {
    const among = chosen.size % 2 === 0 ? told : all;
    const cut = among[Math.floor(random() * among.length)];
    if (cut !== undefined) {
      chosen.add(cut);
    }
  }
  return [...chosen].sort((a, b) => a.life - b.life || a.moment - b.moment);
}

function withFates<T extends Cut>(cuts: readonly T[], among: readonly FateName[]): readonly (T & { fate: FateName })[] {
  return cuts.map((cut, index) => ({ ...cut, fate: among[index % among.length] ?? "any" }));
}

const tell = (lost: readonly Lost[]) => lost.map(({ cut, fate, why }) => `${cut.life}/${cut.moment} ${fate}: ${why}`);

await describeWithStrace("lmdb: a power cut", (strace) => {
  let built: Build | undefined;
  beforeAll(async () => {
    built = await privateBuild();
  });
  afterAll(() => built?.[Symbol.asyncDispose]());

  it(
    `loses nothing that was acknowledged, ${CUTS} times (seed ${SEED})`,
    async () => {
      const random = randomFrom(SEED);
      let done = 0;
      while (done < CUTS) {
        const recording = await Recording.make(strace, { built: built?.directory ?? "", lives: LIVES });
        const cuts = someOf(recording, Math.min(CUTS - done, CUTS_PER_RECORDING), random);
        expect(tell(await cutPower(recording, withFates(cuts, FATES), random))).toEqual([]);
        done += cuts.length;
      }
    },
    TIMEOUT_MS,
  );

  // strace counts the calls of each thread; the main one, which makes the store, makes fewer of them.
  it.each(["fdatasync:error=EIO:when=7+2", "pwrite64:error=EIO:when=20+13"])(
    `after syncs that failed (%s) loses nothing that was acknowledged (seed ${SEED})`,
    async (inject) => {
      const random = randomFrom(SEED);
      const recording = await Recording.make(strace, { built: built?.directory ?? "", lives: LIVES, inject });
      expect(recording.failures, "calls that were made to fail").toBeGreaterThan(5);
      const cuts = someOf(recording, CUTS_AFTER_FAILURES, random);
      expect(tell(await cutPower(recording, withFates(cuts, FATES), random))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    `at any moment of the very first start leaves a directory that opens (seed ${SEED})`,
    async () => {
      const recording = await Recording.make(strace, { built: built?.directory ?? "", lives: [1] });
      const all = recording.cuts();
      const first = all.slice(0, all.findIndex(({ isTold }) => isTold) + 1);
      expect(first.length).toBeGreaterThan(20);
      const random = randomFrom(SEED);
      for (const fate of ["nothing", "torn"] as const) {
        expect(tell(await cutPower(recording, withFates(first, [fate]), random))).toEqual([]);
      }
    },
    TIMEOUT_MS,
  );

  it(
    `is noticed by this test where LMDB does not sync (seed ${SEED})`,
    async () => {
      const random = randomFrom(SEED);
      const recording = await Recording.make(strace, { built: built?.directory ?? "", lives: LIVES, noSync: true });
      const cuts = someOf(recording, 40, random);
      const lost = await cutPower(recording, withFates(cuts, ["nothing", "in order"]), random);
      expect(lost.length).toBeGreaterThan(cuts.length / 2);
      // Some of these open as if nothing had happened: only who knows what was acknowledged can tell that it is missing.
      expect(tell(lost).filter((line) => line.includes("acknowledged or shown")).length).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
