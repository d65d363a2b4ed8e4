import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { COMPACTION_LEAST_REVISIONS } from "../../src/base/compaction-limits.ts";
import { AutoCompactor } from "../../src/engine/auto-compactor.ts";
import type { DiskUse, Engine, Watch } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { ALL } from "../contract/requests.ts";
import { startProcess } from "../support/processes.ts";

/** How long the overwriting goes on; without it, until every key was overwritten a few times. */
const SECONDS = Number(process.env.MUSTER_TEST_GROWTH_SECONDS ?? 0);
const IS_LONG = SECONDS > 0;
const OVERWRITES = 3;
/** Into how many steps it is divided until every key was overwritten once. */
const STEPS = 32;
const READ_PAUSE_MS = 100;
const WATCH_PAUSE_MS = 50;
const MOST_TIMES_LIVE = 3;
const TIMEOUT_MS = 600_000 + SECONDS * 1000;
const HOLDER = fileURLToPath(new URL("hold-snapshot.mjs", import.meta.url));

interface Load {
  readonly keys: number;
  readonly valueBytes: number;
  readonly callers: number;
}

/** The short version's stores are small, but many times what one commit writes; the long one's limits are everybody's. */
const LOADS: readonly Load[] = IS_LONG
  ? [
      { keys: 400_000, valueBytes: 100, callers: 64 },
      { keys: 400_000, valueBytes: 100, callers: 1000 },
      { keys: 8_000, valueBytes: 10_240, callers: 64 },
    ]
  : [
      { keys: 12_000, valueBytes: 100, callers: 64 },
      { keys: 1_500, valueBytes: 10_240, callers: 64 },
    ];
const SHORT_LIMITS = { historyBytes: 1024 * 1024, keepRevisions: 100 };
const LEAST_REVISIONS = IS_LONG ? COMPACTION_LEAST_REVISIONS : SHORT_LIMITS.keepRevisions;
/** For what is to outgrow its live data, as soon as may be. */
const SMALL: Load = { keys: 1_500, valueBytes: 10_240, callers: 64 };

async function put(engine: Engine, number: number, { valueBytes }: Load): Promise<void> {
  const key = utf8(`key/${number.toString().padStart(12, "0")}`);
  const value = Buffer.alloc(valueBytes, `${number} `);
  await engine.txn({ compares: [], success: [{ kind: "put", request: { key, value } }], failure: [] });
}

/** Writes from many callers at once until `more` says no. */
async function write(engine: Engine, load: Load, more: (count: number) => boolean | Promise<boolean>): Promise<number> {
  let count = 0;
  const caller = async () => {
    while (await more(count)) {
      // Steps that share no factor with the number of keys: overwriting goes all over the tree.
      await put(engine, (count++ * 7919) % load.keys, load);
    }
  };
  await Promise.all(Array.from({ length: load.callers }, caller));
  return count;
}

/** Readers of every kind that would like to hold a snapshot of the store. */
class Readers {
  readonly #engine: Engine;
  /** Watches that are never read. */
  readonly #deaf: readonly Watch[];
  readonly #running: Promise<unknown>;
  #over = false;
  #reads = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#deaf = Array.from({ length: 20 }, () => engine.watch(ALL));
    this.#running = Promise.all([this.#read(0), this.#read(LEAST_REVISIONS), this.#watch(), this.#watch()]);
  }

  /** Lets what is under way come to its end; gives how often the whole store was read. */
  async stop(): Promise<number> {
    this.#over = true;
    for (const watch of this.#deaf) {
      watch.close();
    }
    await this.#running;
    return this.#reads;
  }

  /** Reads the whole store again and again, some revisions ago: each read takes many turns, and pins its revision. */
  async #read(ago: number): Promise<void> {
    for (; !this.#over; this.#reads++) {
      const { revision } = await this.#engine.status();
      const { count } = await this.#engine.range({ ...ALL, revision: revision - ago });
      expect(count).toBeGreaterThan(0);
      await sleep(READ_PAUSE_MS);
    }
  }

  /** Takes one message of a watch now and then; where its place in history is compacted meanwhile, it begins anew. */
  async #watch(): Promise<void> {
    while (!this.#over) {
      try {
        for await (const _message of this.#engine.watch(ALL)) {
          await sleep(WATCH_PAUSE_MS);
          if (this.#over) {
            return;
          }
        }
      } catch (error) {
        expect(error).toMatchObject({ code: "compacted" });
      }
    }
  }
}

/** The store's size over time. */
class Samples {
  readonly #engine: Engine;
  readonly #taken: DiskUse[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async take(): Promise<void> {
    const use = await this.#engine.diskUse?.();
    if (use === undefined) {
      throw new Error("let the engine tell what it takes on disk");
    }
    this.#taken.push(use);
  }

  /** How many times as large as what lived the file was at most. */
  get most(): number {
    return Math.max(...this.#taken.map(({ fileBytes, liveBytes }) => fileBytes / liveBytes));
  }

  /** The file, what lived, and history, in MiB, over time. */
  tell(): string {
    const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    const few = this.#taken.filter((_, index) => index % Math.ceil(this.#taken.length / 12) === 0);
    const lines = few.map((one) => `${mib(one.fileBytes)} ${mib(one.liveBytes)} ${mib(one.historyBytes)}`);
    return ["file, live, history in MiB:", ...lines, `file at most ${this.most.toFixed(2)} times live`].join("\n");
  }
}

/** A store whose every key was written once. */
async function openFilled(load: Load) {
  const directory = await mkdtemp(join(tmpdir(), "muster-growth-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const engine = await openLmdbEngine({ directory, clock: systemClock });
  onTestFinished(() => engine.close());
  await write(engine, load, (count) => count < load.keys);
  return { directory, engine };
}

/**
 * Overwrites all keys, a few times or for as long as asked, and gives the sizes. In the short version history is compacted
 * by how much was written and not by the clock, so that how fast the machine is decides nothing.
 */
async function overwrite(engine: Engine, load: Load, compactor: AutoCompactor | undefined): Promise<Samples> {
  const samples = new Samples(engine);
  let next = 0;
  let steps: Promise<void> = Promise.resolve();
  const lookAndSample = async () => {
    await samples.take();
    await (IS_LONG ? undefined : compactor?.look());
  };
  const readers = new Readers(engine);
  const started = performance.now();
  const count = await write(engine, load, async (done) => {
    if (done >= next) {
      next += Math.floor(load.keys / STEPS);
      steps = steps.then(lookAndSample);
    }
    await steps;
    return IS_LONG ? performance.now() < started + SECONDS * 1000 : done < load.keys * OVERWRITES;
  });
  const rate = Math.round(count / ((performance.now() - started) / 1000));
  const reads = await readers.stop();
  await samples.take();
  console.info(`${count} overwrites (${rate}/s), ${reads} whole reads:\n${samples.tell()}`);
  expect(reads, "the readers read").toBeGreaterThan(1);
  return samples;
}

function compactorOf(engine: Engine): AutoCompactor {
  const compactor = new AutoCompactor({ engine, clock: systemClock, ...(IS_LONG ? {} : SHORT_LIMITS) });
  if (IS_LONG) {
    compactor.start();
    onTestFinished(() => compactor.stop());
  }
  return compactor;
}

describe("lmdb: overwriting without pause, with slow readers", () => {
  it.each(LOADS)(
    "$keys keys of $valueBytes bytes by $callers callers: the file stays within three times its live data",
    async (load) => {
      const { engine } = await openFilled(load);
      const samples = await overwrite(engine, load, compactorOf(engine));
      expect(samples.most, samples.tell()).toBeLessThan(MOST_TIMES_LIVE);
    },
    TIMEOUT_MS,
  );

  it.skipIf(IS_LONG)("what is measured grows beyond that when nobody compacts", { timeout: TIMEOUT_MS }, async () => {
    const { engine } = await openFilled(SMALL);
    const samples = await overwrite(engine, SMALL, undefined);
    expect(samples.most, samples.tell()).toBeGreaterThan(MOST_TIMES_LIVE);
  });

  it.skipIf(IS_LONG)(
    "what is measured grows beyond that when a reader holds a snapshot",
    { timeout: TIMEOUT_MS },
    async () => {
      const { directory, engine } = await openFilled(SMALL);
      await using holder = await startProcess(process.execPath, [HOLDER, directory]);
      await holder.waitForOutput(/held/);
      const samples = await overwrite(engine, SMALL, compactorOf(engine));
      expect(samples.most, samples.tell()).toBeGreaterThan(MOST_TIMES_LIVE);
    },
  );
});
