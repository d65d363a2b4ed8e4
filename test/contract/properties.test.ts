import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { randomPrograms } from "../support/random-programs.ts";
import { type Capability, ENGINES, type EngineKind, type Fixture } from "./engines.ts";
import { Listener } from "./listener.ts";
import { listing, outcome, type ProgramOptions, program, type Step } from "./programs.ts";
import { ALL, apply, put } from "./requests.ts";

const RUN = randomPrograms({ programs: 60, programTimeoutMs: 60_000 });
/** A real etcd runs so many times fewer: each step is a call, and its watches look at what they missed ten times a second. */
const FEWER_ON_ETCD = 4;
const SENTINEL = "the last key";

/** Runs a program on both engines, step by step, and compares every answer, the live events and the history. */
async function compareOn(steps: readonly Step[], engines: { reference: Engine; fixture: Fixture }, how: Comparison) {
  const { reference, fixture } = engines;
  const both = () => [reference, fixture.engine] as const;
  let listeners = both().map((engine) => new Listener(engine.watch(ALL)));
  const told: string[][] = [[], []];
  for (const [index, step] of steps.entries()) {
    if (step.do === "compact" || step.do === "restart") {
      // A reader that is behind may be told that it was overtaken by a compaction.
      await Promise.all(listeners.map((listener) => listener.caughtUp()));
    }
    if (step.do === "restart") {
      listeners.forEach((listener, which) => void told[which]?.push(...listener.told));
      for (const listener of listeners) {
        listener.close();
      }
      await fixture.restart?.();
      listeners = both().map((engine) => new Listener(engine.watch(ALL)));
    }
    const expected = await outcome(reference, step, how.options);
    expect(await outcome(fixture.engine, step, how.options), `step ${index} of\n${listing(steps)}`).toEqual(expected);
  }
  for (const engine of both()) {
    await apply(engine, put(SENTINEL, ""));
  }
  const live = await Promise.all(listeners.map((listener) => listener.upTo(SENTINEL)));
  const [expected, actual] = live.map((last, which) => [...(told[which] ?? []), ...last]);
  expect(actual, `live watch of\n${listing(steps)}`).toEqual(expected);
  await comparePast(steps, { reference, fixture }, how);
}

/** Compares the history that is left, and the store at each revision of it. */
async function comparePast(steps: readonly Step[], engines: { reference: Engine; fixture: Fixture }, how: Comparison) {
  const { reference, fixture } = engines;
  const { compactRevision, revision } = await reference.status();
  const startRevision = Math.max(compactRevision + (how.marksTombstones ? 0 : 1), 1);
  const history = (engine: Engine) =>
    new Listener(engine.watch({ ...ALL, startRevision, prevKv: true })).upTo(SENTINEL);
  expect(await history(fixture.engine), `history of\n${listing(steps)}`).toEqual(await history(reference));
  for (let past = Math.max(compactRevision, 1); past <= revision; past++) {
    const step: Step = { do: "range", request: { ...ALL, revision: past } };
    const expected = await outcome(reference, step, how.options);
    expect(await outcome(fixture.engine, step, how.options), `at ${past} of\n${listing(steps)}`).toEqual(expected);
  }
}

interface Comparison {
  readonly options: ProgramOptions;
  /** Whether the deletions made at the revision that is compacted to can be compared. */
  readonly marksTombstones: boolean;
}

function comparisonWith(kind: EngineKind): Comparison {
  const lacks = (capability: Capability): boolean => kind.lacks[capability] !== undefined;
  return {
    options: {
      restarts: !lacks("restart"),
      compactions: !lacks("compaction"),
      asEtcd: lacks("stableSort"),
      leaseOfKeysOnly: !lacks("leaseOfKeysOnly"),
    },
    marksTombstones: !lacks("tombstoneAtCompaction"),
  };
}

for (const kind of ENGINES.filter(({ name }) => name !== "memory")) {
  describe.skipIf(kind.absent !== undefined)(kind.absent ?? `${kind.name} and memory`, () => {
    let started: Awaited<ReturnType<EngineKind["start"]>> | undefined;
    beforeAll(async () => {
      started = await kind.start();
    });
    afterAll(() => started?.stop());

    const programs = kind.lacks.fakeTime === undefined ? RUN.programs : Math.ceil(RUN.programs / FEWER_ON_ETCD);
    const title = `engine: ${programs} random programs have the same outcome (seed ${RUN.seed})`;
    it(title, { timeout: RUN.timeoutMs }, async () => {
      const how = comparisonWith(kind);
      const property = fc.asyncProperty(program(how.options), async (steps) => {
        const reference = openMemoryEngine();
        await using fixture = await started?.open({ fakeTime: false, history: true });
        if (fixture === undefined) {
          throw new Error(`${kind.name} was not started`);
        }
        await compareOn(steps, { reference, fixture }, how);
        await reference.close();
      });
      await RUN.assert(property, programs);
    });
  });
}
