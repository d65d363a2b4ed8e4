import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { etcd, sharedEtcd } from "./etcd-engines.ts";

/** What not every engine can show; each that cannot says why, and the reason is in the name of the skipped test. */
export type Capability =
  /** Time is the test's: an hour passes at once. */
  | "fakeTime"
  /** Keys that sort as equal keep their order. */
  | "stableSort"
  /** The deletions made at the revision that is compacted to are still told. */
  | "tombstoneAtCompaction"
  /** It can be compacted. */
  | "compaction"
  /** Revisions follow one another without a gap, so that the next one is known. */
  | "gapless"
  /** Keys without values come with their leases. */
  | "leaseOfKeysOnly"
  /** Closed and opened again, it has what it had. */
  | "restart";

export interface Fixture extends AsyncDisposable {
  readonly engine: Engine;
  /** Closes the engine and opens what it had anew: `engine` is then another. Only where it can. */
  restart?(): Promise<void>;
  /** Lets time pass: at once where time is the test's, else by waiting. */
  advance(ms: number): Promise<void>;
}

/** One way to get an engine. */
export interface EngineKind {
  readonly name: string;
  /** Why there is none here. */
  readonly absent?: string;
  readonly lacks: Partial<Record<Capability, string>>;
  /** Starts what all tests of a file share, and says how to open an engine with an empty store. */
  start(): Promise<{ open(options: FixtureOptions): Promise<Fixture>; stop(): Promise<void> }>;
}

export interface FixtureOptions {
  readonly fakeTime: boolean;
  /** Whether nobody compacts what the test writes; default: so it is. */
  readonly history?: boolean;
}

const memory: EngineKind = {
  name: "memory",
  lacks: { restart: "memory forgets when it is closed" },
  start: async () => ({
    open: async ({ fakeTime }) => {
      const time = timeOf(fakeTime);
      const engine = openMemoryEngine();
      return { engine, advance: time.advance, [Symbol.asyncDispose]: () => engine.close().finally(time.restore) };
    },
    stop: async () => {},
  }),
};

const lmdb: EngineKind = {
  name: "lmdb",
  lacks: {},
  start: async () => ({
    open: async ({ fakeTime }) => {
      const time = timeOf(fakeTime);
      const directory = await mkdtemp(join(tmpdir(), "muster-contract-"));
      const fixture = {
        engine: await openLmdbEngine({ directory, clock: systemClock }),
        restart: async () => {
          await fixture.engine.close();
          fixture.engine = await openLmdbEngine({ directory, clock: systemClock });
        },
        advance: time.advance,
        [Symbol.asyncDispose]: async () => {
          await fixture.engine.close();
          time.restore();
          await rm(directory, { recursive: true });
        },
      };
      return fixture;
    },
    stop: async () => {},
  }),
};

/** Fakes the timers and clocks that an engine may use, and no more: what LMDB does on its threads goes on. */
function timeOf(fake: boolean): { advance(ms: number): Promise<void>; restore(): void } {
  if (!fake) {
    return { advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)), restore: () => {} };
  }
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
  return {
    advance: async (ms) => {
      await vi.advanceTimersByTimeAsync(ms);
    },
    restore: () => void vi.useRealTimers(),
  };
}

export const ENGINES: readonly EngineKind[] = [memory, lmdb, etcd, sharedEtcd];

export interface TestOptions {
  readonly needs?: readonly Capability[];
  /** Whether the test looks at what is not the newest, which then nobody may compact. */
  readonly history?: boolean;
}

export type ContractTest = (title: string, options: TestOptions, body: (fixture: Fixture) => Promise<void>) => void;

/** Runs the same tests on every engine; what one of them cannot show is skipped by name, with the reason. */
export function onEveryEngine(define: (test: ContractTest) => void): void {
  runOnEvery(define, { history: true });
}

/** As onEveryEngine, for tests that look at no history unless they say so: where others can compact, they do. */
export function onEveryBusyEngine(define: (test: ContractTest) => void): void {
  runOnEvery(define, { history: false });
}

function runOnEvery(define: (test: ContractTest) => void, defaults: TestOptions): void {
  for (const kind of ENGINES) {
    describe.skipIf(kind.absent !== undefined)(kind.absent ?? kind.name, () => {
      let started: Awaited<ReturnType<EngineKind["start"]>> | undefined;
      beforeAll(async () => {
        started = await kind.start();
      });
      afterAll(() => started?.stop());
      define((title, options, body) => {
        const { needs = [], history = true } = { ...defaults, ...options };
        const reason = needs.map((need) => kind.lacks[need]).find((lack) => lack !== undefined);
        it.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (skipped: ${reason})`, async () => {
          if (started === undefined) {
            throw new Error(`${kind.name} was not started`);
          }
          await using fixture = await started.open({ fakeTime: needs.includes("fakeTime"), history });
          await body(fixture);
        });
      });
    });
  }
}
