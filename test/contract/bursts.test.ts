import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openMemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { isReadOnly } from "../../src/engine/txn-check.ts";
import { randomPrograms } from "../support/random-programs.ts";
import { ENGINES } from "./engines.ts";
import { Listener } from "./listener.ts";
import { listing, outcome, program, type Step } from "./programs.ts";
import { ALL, apply, put } from "./requests.ts";

const RUN = randomPrograms({ programs: 60, programTimeoutMs: 60_000 });
const OPTIONS = { restarts: false, asEtcd: false } as const;
const SENTINEL = "the last key";

/** A step, and how many turns of the event loop pass before the next: so those before it are worked out, or on their way. */
interface Timed {
  readonly step: Step;
  readonly turns: number;
}

const timed = program(OPTIONS).chain((steps) =>
  fc
    .array(fc.integer({ min: 0, max: 3 }), { minLength: steps.length, maxLength: steps.length })
    .map((turns) => steps.map((step, place): Timed => ({ step, turns: turns[place] ?? 0 }))),
);

/** Writes are done in the order in which they were asked for; reads show what is done. */
function isWrite(step: Step): boolean {
  return step.do === "grant" || step.do === "revoke" || (step.do === "txn" && !isReadOnly(step.request));
}

describe("Engine", () => {
  const lmdb = ENGINES.find(({ name }) => name === "lmdb");

  it(`txn: what is asked while others are written finds what they do: ${RUN.programs} random programs (seed ${RUN.seed})`, {
    timeout: RUN.timeoutMs,
  }, async () => {
    const started = await lmdb?.start();
    const property = fc.asyncProperty(timed, async (steps) => {
      const reference = openMemoryEngine();
      await using fixture = await started?.open({ fakeTime: false, history: true });
      if (fixture === undefined) {
        throw new Error("lmdb was not started");
      }
      const { engine } = fixture;
      const listeners = [reference, engine].map((one) => new Listener(one.watch({ ...ALL, prevKv: true })));
      const expected: unknown[] = [];
      const actual: Promise<unknown>[] = [];
      for (const { step, turns } of steps) {
        if (!isWrite(step)) {
          await Promise.all([...actual, ...(step.do === "compact" ? listeners.map((one) => one.caughtUp()) : [])]);
        }
        const answer = outcome(engine, step, OPTIONS);
        actual.push(answer);
        expected.push(await outcome(reference, step, OPTIONS));
        if (!isWrite(step)) {
          await answer;
        }
        for (let turn = 0; turn < turns; turn++) {
          await nextTurn();
        }
      }
      const words = listing(steps.map(({ step }) => step));
      expect(await Promise.all(actual), words).toEqual(expected);
      for (const one of [reference, engine]) {
        await apply(one, put(SENTINEL, ""));
      }
      const [told, heard] = await Promise.all(listeners.map((listener) => listener.upTo(SENTINEL)));
      expect(heard, `live watch of\n${words}`).toEqual(told);
      const { compactRevision, revision } = await reference.status();
      for (let past = Math.max(compactRevision, 1); past <= revision; past++) {
        const look: Step = { do: "range", request: { ...ALL, revision: past } };
        const was = await outcome(reference, look, OPTIONS);
        expect(await outcome(engine, look, OPTIONS), `at ${past} of\n${words}`).toEqual(was);
      }
      await reference.close();
    });
    await RUN.assert(property);
    await started?.stop();
  });
});
