import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { openEtcdEngine } from "../support/etcd-engine.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";

/** What not every engine can show; each that cannot says why, and the reason is in the name of the skipped test. */
export type Capability =
  /** Time is the test's: an hour passes at once. */
  | "fakeTime"
  /** Keys that sort as equal keep their order. */
  | "stableSort"
  /** A deletion from a key on counts when a transaction is searched for duplicate keys. */
  | "fromKeyDuplicates"
  /** A key has a longest length. */
  | "keyLimit"
  /** The deletions made at the revision that is compacted to are still told. */
  | "tombstoneAtCompaction"
  /** A progress message waits for the events before it. */
  | "orderedProgress"
  /** Numbers that are not whole can be asked for. */
  | "oddNumbers"
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
  start(): Promise<{ open(options: { readonly fakeTime: boolean }): Promise<Fixture>; stop(): Promise<void> }>;
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

async function etcd(): Promise<EngineKind> {
  const binaries = await etcdBinaries();
  const version = binaries?.version ?? "";
  const old = isBefore(version, [3, 5, 16]);
  return {
    name: `etcd ${version}`,
    ...(binaries === undefined ? { absent: NO_ETCD } : {}),
    lacks: {
      fakeTime: "a real etcd runs on real time",
      stableSort: "etcd sorts with Go's sort.Sort, which is not stable",
      fromKeyDuplicates: "etcd overlooks such a deletion (and dies of it where the put has ignoreValue)",
      keyLimit: "etcd has no limit for a key's length but that of a request",
      oddNumbers: "etcd's protocol has only whole numbers",
      restart: "what is tested is not how etcd restarts",
      ...(old
        ? { tombstoneAtCompaction: `etcd ${version} drops tombstones at the compaction revision (3.5.16 keeps)` }
        : {}),
      ...(isBefore(version, [3, 5, 8])
        ? { orderedProgress: `etcd ${version} may answer before the events (3.5.8 waits)` }
        : {}),
    },
    start: async () => {
      if (binaries === undefined) {
        throw new Error(NO_ETCD);
      }
      const server: EtcdServer = await startEtcd(binaries);
      return {
        open: async () => {
          const engine = await openEtcdEngine(server.clientAddress);
          return {
            engine,
            advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
            [Symbol.asyncDispose]: () => engine.close(),
          };
        },
        stop: server.stop,
      };
    },
  };
}

function isBefore(version: string, bound: readonly [number, number, number]): boolean {
  const parts = version.split(".").map(Number);
  const at = bound.findIndex((part, index) => part !== (parts[index] ?? 0));
  return at >= 0 && (parts[at] ?? 0) < (bound[at] ?? 0);
}

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

export const ENGINES: readonly EngineKind[] = [memory, lmdb, await etcd()];

export interface TestOptions {
  readonly needs?: readonly Capability[];
}

export type ContractTest = (title: string, options: TestOptions, body: (fixture: Fixture) => Promise<void>) => void;

/** Runs the same tests on every engine; what one of them cannot show is skipped by name, with the reason. */
export function onEveryEngine(define: (test: ContractTest) => void): void {
  for (const kind of ENGINES) {
    describe.skipIf(kind.absent !== undefined)(kind.absent ?? kind.name, () => {
      let started: Awaited<ReturnType<EngineKind["start"]>> | undefined;
      beforeAll(async () => {
        started = await kind.start();
      });
      afterAll(() => started?.stop());
      define((title, { needs = [] }, body) => {
        const reason = needs.map((need) => kind.lacks[need]).find((lack) => lack !== undefined);
        it.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (skipped: ${reason})`, async () => {
          if (started === undefined) {
            throw new Error(`${kind.name} was not started`);
          }
          await using fixture = await started.open({ fakeTime: needs.includes("fakeTime") });
          await body(fixture);
        });
      });
    });
  }
}
