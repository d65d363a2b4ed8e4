import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { AutoCompactor } from "../../src/engine/auto-compactor.ts";
import type { DiskUse, Engine, Watch } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { ALL } from "../contract/requests.ts";

/** How long the overwriting goes on; without it, until every key was overwritten a few times. */
const SECONDS = Number(process.env.MUSTER_TEST_GROWTH_SECONDS ?? 0);
const OVERWRITES = 3;
const CALLERS = 64;
const SAMPLE_MS = 100;
const READ_PAUSE_MS = 100;
const WATCH_PAUSE_MS = 50;
const MOST_TIMES_LIVE = 3;
const TIMEOUT_MS = 90_000 + SECONDS * 1000;

interface Load {
  readonly keys: number;
  readonly valueBytes: number;
}

async function put(engine: Engine, number: number, { valueBytes }: Load): Promise<void> {
  const key = utf8(`key/${number.toString().padStart(12, "0")}`);
  const value = Buffer.alloc(valueBytes, `${number} `);
  await engine.txn({ compares: [], success: [{ kind: "put", request: { key, value } }], failure: [] });
}

/** Writes from many callers at once until `more` says no. */
async function write(engine: Engine, load: Load, more: (count: number) => boolean): Promise<number> {
  let count = 0;
  const caller = async () => {
    while (more(count)) {
      // Steps that share no factor with the number of keys: overwriting goes all over the tree.
      await put(engine, (count++ * 7919) % load.keys, load);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
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
    this.#running = Promise.all([this.#read(0), this.#read(1000), this.#watch(), this.#watch()]);
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
  readonly #file: string;
  readonly #taken: (DiskUse & { readonly fileBytes: number })[] = [];
  readonly #running: Promise<void>;
  #over = false;

  constructor(engine: Engine, directory: string) {
    this.#engine = engine;
    this.#file = join(directory, "data.mdb");
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#running;
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

  async #run(): Promise<void> {
    while (!this.#over) {
      const use = await this.#engine.diskUse?.();
      if (use === undefined) {
        throw new Error("let the engine tell what it takes on disk");
      }
      this.#taken.push({ ...use, fileBytes: (await stat(this.#file)).size });
      await sleep(SAMPLE_MS);
    }
  }
}

/** The short version's stores are small; the long one's have the limits that everybody has, and are larger than these. */
const LONG: readonly Load[] = [
  { keys: 400_000, valueBytes: 100 },
  { keys: 8_000, valueBytes: 10_240 },
];
const SHORT: readonly Load[] = [
  { keys: 8_000, valueBytes: 100 },
  { keys: 1_500, valueBytes: 10_240 },
];
const SHORT_LIMITS = { historyBytes: 1024 * 1024, intervalMs: 100 };

it.each(SECONDS > 0 ? LONG : SHORT)(
  "lmdb: overwriting $keys keys of $valueBytes bytes with slow readers, the file stays within three times its live data",
  async (load) => {
    const directory = await mkdtemp(join(tmpdir(), "muster-growth-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const engine = await openLmdbEngine({ directory, clock: systemClock });
    await write(engine, load, (count) => count < load.keys);
    const compactor = new AutoCompactor({ engine, clock: systemClock, ...(SECONDS > 0 ? {} : SHORT_LIMITS) });
    compactor.start();
    const samples = new Samples(engine, directory);
    const readers = new Readers(engine);
    const end = performance.now() + SECONDS * 1000;
    const started = performance.now();
    const more = (count: number) => (SECONDS > 0 ? performance.now() < end : count < load.keys * OVERWRITES);
    const count = await write(engine, load, more);
    const rate = Math.round(count / ((performance.now() - started) / 1000));
    const reads = await readers.stop();
    await samples.stop();
    await compactor.stop();
    await engine.close();
    console.info(`${count} overwrites (${rate}/s), ${reads} whole reads:\n${samples.tell()}`);
    expect(reads, "the readers read").toBeGreaterThan(2);
    expect(samples.most, samples.tell()).toBeLessThan(MOST_TIMES_LIVE);
  },
  TIMEOUT_MS,
);
