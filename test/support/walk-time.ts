import { expect } from "vitest";
import { V2_BODY_BYTES } from "../../src/base/limits.ts";

const RUNS = 5;

/** The time of a plain walk over as many bytes as a body may have, in ms: what other work is measured by. */
export function walkMs(): number {
  const bytes = Buffer.alloc(V2_BODY_BYTES, 1);
  return fastest(() => expect(bytes.reduce((sum, byte) => sum + byte)).toBe(V2_BODY_BYTES));
}

/** The least of some runs, in ms: what others do on the machine only adds to it. */
export function fastest(work: () => void): number {
  const times = Array.from({ length: RUNS }, () => {
    const begun = performance.now();
    work();
    return performance.now() - begun;
  });
  return Math.min(...times);
}
