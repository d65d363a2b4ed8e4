import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { MusterError } from "../../src/base/errors.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { LmdbStore } from "../../src/engine/lmdb/lmdb-store.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { randomPrograms } from "../support/random-programs.ts";
import { Listener } from "./listener.ts";
import { listing, outcome, program, type Step } from "./programs.ts";
import { ALL, apply, put } from "./requests.ts";

const RUN = randomPrograms({ programs: 30, programTimeoutMs: 60_000, averageMs: 6_000 });
/** No program has more steps. */
const MOST_STEPS = 82;
const OPTIONS = { restarts: false, asEtcd: false } as const;
const SENTINEL = "the last key";

/** What happens to the store during a step: from so many LMDB transactions on all fail, until it is whole, or dies. */
type Fate = { readonly fails: "never" } | { readonly fails: "then heals" | "then dies"; readonly after: number };

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ fails: "never" } as const) },
  {
    weight: 2,
    arbitrary: fc.record({
      fails: fc.constantFrom("then heals" as const, "then dies" as const),
      after: fc.integer({ min: 0, max: 6 }),
    }),
  },
);

/** How many more LMDB transactions succeed. */
let succeeds = Number.POSITIVE_INFINITY;
/** How many transactions were committed at all. */
let commits = 0;
let unfinishedSeen = 0;

beforeEach(() => {
  const write = LmdbStore.prototype.write;
  vi.spyOn(LmdbStore.prototype, "write").mockImplementation(async function (this: LmdbStore, run) {
    if (succeeds <= 0) {
      throw new MusterError("storeUnavailable", "the disk is said to be full");
    }
    succeeds--;
    commits++;
    return write.call(this, run);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** A store of which every write goes in the smallest pieces there are. */
class Pieces {
  readonly directory: string;
  engine: Engine;
  #listener: Listener;
  readonly #told: string[] = [];

  private constructor(directory: string, engine: Engine) {
    this.directory = directory;
    this.engine = engine;
    this.#listener = new Listener(engine.watch(ALL));
  }

  static async open(): Promise<Pieces> {
    const directory = await mkdtemp(join(tmpdir(), "muster-pieces-"));
    return new Pieces(directory, await openInPieces(directory));
  }

  /** Loses the process: nothing that was not written is written any more. */
  async die(): Promise<void> {
    await this.#listener.caughtUp();
    this.#told.push(...this.#listener.told);
    this.#listener.close();
    succeeds = 0;
    await this.engine.close();
    succeeds = Number.POSITIVE_INFINITY;
    this.engine = await openInPieces(this.directory);
    this.#listener = new Listener(this.engine.watch(ALL));
  }

  async caughtUp(): Promise<void> {
    await this.#listener.caughtUp();
  }

  /** All that its watches were told, up to the sentinel. */
  async told(): Promise<readonly string[]> {
    return [...this.#told, ...(await this.#listener.upTo(SENTINEL))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    succeeds = Number.POSITIVE_INFINITY;
    await this.engine.close();
    await rm(this.directory, { recursive: true });
  }
}

function openInPieces(directory: string): Promise<Engine> {
  return openLmdbEngine({ directory, clock: systemClock, writeSlice: { ms: 0, unitsPerLook: 1 } });
}

const LOOKS: readonly Step[] = [
  { do: "range", request: ALL },
  { do: "range", request: { ...ALL, countOnly: true } },
  { do: "range", request: { ...ALL, limit: 2, sort: { target: "modRevision", order: "descend" } } },
  {
    do: "txn",
    request: {
      compares: [{ ...ALL, target: "version", result: "greater", expected: 1 }],
      success: [{ kind: "range", request: ALL }],
      failure: [{ kind: "range", request: { ...ALL, keysOnly: true } }],
    },
  },
  { do: "lease", id: 1n },
  { do: "status" },
];

async function look(engine: Engine): Promise<readonly string[]> {
  return Promise.all(LOOKS.map(async (step) => readable(await outcome(engine, step, OPTIONS))));
}

/** Equal for equal results, whatever the order of their fields. */
function readable(result: unknown): string {
  return inspect(result, { sorted: true, depth: Number.POSITIVE_INFINITY, breakLength: Number.POSITIVE_INFINITY });
}

/** Runs a step while others look at the store all the time. Answers with what they saw, look by look. */
async function runWatched(pieces: Pieces, step: Step): Promise<{ result: unknown; seen: (readonly string[])[] }> {
  const seen: (readonly string[])[] = [];
  let done = false;
  const running = outcome(pieces.engine, step, OPTIONS).finally(() => {
    done = true;
  });
  while (!done) {
    const before = commits;
    seen.push(await look(pieces.engine));
    await nextTurn();
    unfinishedSeen += commits > before ? 1 : 0;
  }
  return { result: await running, seen };
}

/** Runs a program in pieces and on the reference; what fails on the former is not done on the latter. */
async function compareOn(steps: readonly Step[], fates: readonly Fate[]): Promise<void> {
  await using pieces = await Pieces.open();
  const reference = openMemoryEngine();
  const listener = new Listener(reference.watch(ALL));
  for (const [index, step] of steps.entries()) {
    const { fails, ...when } = fates[index] ?? { fails: "never" };
    if (step.do === "compact") {
      await Promise.all([pieces.caughtUp(), listener.caughtUp()]);
    }
    const before = await look(reference);
    succeeds = "after" in when ? when.after : Number.POSITIVE_INFINITY;
    const { result, seen } = await runWatched(pieces, step);
    if (result !== "refused: storeUnavailable") {
      const where = `step ${index} (${fails}) of\n${listing(steps)}`;
      expect(result, where).toEqual(await outcome(reference, step, OPTIONS));
    }
    expectMoments(seen, { before, after: await look(reference) }, `looks at step ${index} of\n${listing(steps)}`);
    if (fails === "then dies") {
      await pieces.die();
    }
    succeeds = Number.POSITIVE_INFINITY;
  }
  for (const engine of [reference, pieces.engine]) {
    await apply(engine, put(SENTINEL, ""));
  }
  expect(await pieces.told(), `live watch of\n${listing(steps)}`).toEqual(await listener.upTo(SENTINEL));
  await comparePast(steps, reference, pieces.engine);
  await reference.close();
}

/** Each look shows the store before the step or after it, and none goes back. One that the failure refused shows nothing. */
function expectMoments(
  seen: readonly (readonly string[])[],
  moments: { readonly before: readonly string[]; readonly after: readonly string[] },
  where: string,
): void {
  for (const which of LOOKS.keys()) {
    const { before, after } = { before: moments.before[which], after: moments.after[which] };
    let isAfter = false;
    for (const shown of seen.map((each) => each[which])) {
      if (shown === readable("refused: storeUnavailable")) {
        continue;
      }
      isAfter ||= shown !== before;
      expect(shown, where).toEqual(isAfter ? after : before);
    }
  }
}

async function comparePast(steps: readonly Step[], reference: Engine, engine: Engine): Promise<void> {
  const { compactRevision, revision } = await reference.status();
  const startRevision = Math.max(compactRevision, 1);
  const history = (of: Engine) => new Listener(of.watch({ ...ALL, startRevision, prevKv: true })).upTo(SENTINEL);
  expect(await history(engine), `history of\n${listing(steps)}`).toEqual(await history(reference));
  for (let past = startRevision; past <= revision; past++) {
    const step: Step = { do: "range", request: { ...ALL, revision: past } };
    const expected = await outcome(reference, step, OPTIONS);
    expect(await outcome(engine, step, OPTIONS), `at ${past} of\n${listing(steps)}`).toEqual(expected);
  }
}

const title = `lmdb: ${RUN.programs} random programs of which every write is made in pieces show none of them (seed ${RUN.seed})`;
it(title, { timeout: RUN.timeoutMs }, async () => {
  const fates = fc.array(fate, { minLength: MOST_STEPS, maxLength: MOST_STEPS });
  await RUN.assert(fc.asyncProperty(program(OPTIONS), fates, compareOn));
  expect(unfinishedSeen, "some looks met a write under way").toBeGreaterThan(RUN.programs);
});
