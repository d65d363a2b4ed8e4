/** Runs of random programs that must show the same on two sides: how many, by which seed, and for how long. */
import fc from "fast-check";

export interface RandomRun {
  /** How many programs are run; MUSTER_TEST_PROGRAMS, which a long run sets, goes before it. */
  readonly programs: number;
  /** A program that takes longer, in ms, waits for what does not come. */
  readonly programTimeoutMs: number;
  /** What a program takes at most on the average, in ms. */
  readonly averageMs?: number;
}

export interface RandomPrograms {
  readonly programs: number;
  /** The title of a test that uses it prints it; MUSTER_TEST_SEED brings back what failed. */
  readonly seed: number;
  readonly programTimeoutMs: number;
  /** What a test with these programs may take in all, in ms: the time limit of `assert`, and what is under way then. */
  readonly timeoutMs: number;
  /**
   * Runs the property with `programs` programs, or as many as given. Fails where one fails or takes too long, and where
   * the time does not do for all of them.
   */
  assert<T>(property: fc.IAsyncProperty<T>, programs?: number): Promise<void>;
}

const AVERAGE_MS = 3_000;

/** The programs of one test file. */
export function randomPrograms(run: RandomRun): RandomPrograms {
  const { programTimeoutMs, averageMs = AVERAGE_MS } = run;
  const all = Number(process.env.MUSTER_TEST_PROGRAMS ?? run.programs);
  const seed = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
  // As long as two programs more, for making a failure smaller.
  const limitMs = 2 * programTimeoutMs + all * averageMs;
  return {
    programs: all,
    seed,
    programTimeoutMs,
    timeoutMs: limitMs + 2 * programTimeoutMs,
    assert: (property, programs = all) =>
      fc.assert(property, {
        seed,
        numRuns: programs,
        timeout: programTimeoutMs,
        interruptAfterTimeLimit: limitMs,
        markInterruptAsFailure: true,
      }),
  };
}
