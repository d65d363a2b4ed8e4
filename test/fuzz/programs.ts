/** Random programs of v2 requests. */
import fc from "fast-check";
import { anyStep, expiring } from "./requests.ts";
import type { Step } from "./steps.ts";

/** Beyond the ttl of what expires in a program: etcd looks twice a second. */
const EXPIRY_PAUSE_MS = 1_900;

const steps = (most: number) => fc.array(anyStep, { minLength: 1, maxLength: most, size: "max" });

/**
 * Nodes that expire while nothing else is done, then some more steps. What is to expire at once is written last: nobody
 * knows whether the next request would still find it.
 */
const expiringProgram = fc
  .tuple(
    steps(8),
    fc.array(fc.oneof(expiring(1), expiring(1), anyStep), { minLength: 2, maxLength: 6 }),
    fc.array(expiring(0), { maxLength: 1 }),
    steps(6),
  )
  .map(([before, due, last, after]): readonly Step[] => [
    ...before,
    ...due,
    ...last,
    { pause: EXPIRY_PAUSE_MS },
    ...after,
  ]);

/** A program; `expiringIn`: once in so many, one in which nodes expire, which takes two seconds. */
export function program({ expiringIn }: { readonly expiringIn: number }): fc.Arbitrary<readonly Step[]> {
  return fc.oneof({ weight: expiringIn - 1, arbitrary: steps(40) }, { weight: 1, arbitrary: expiringProgram });
}
