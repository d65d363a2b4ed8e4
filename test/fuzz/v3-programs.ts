/** Random programs of v3 requests. */
import fc from "fast-check";
import { newerSteps, steps } from "./v3-requests.ts";
import type { V3Step } from "./v3-steps.ts";
import { largePut, watchSteps } from "./v3-watch-requests.ts";

type Program = fc.Arbitrary<readonly V3Step[]>;

export interface ProgramOptions {
  /** With what etcd has since 3.7. */
  readonly newer: boolean;
}

/** A list of steps. Leases of a second or two do not come to their end in one. */
export function v3Program({ newer }: ProgramOptions): Program {
  return programOf([...steps, ...(newer ? newerSteps : [])], 60);
}

/**
 * A list of steps with watches on what they do, in some of them of large values. It takes longer, so that all of its
 * leases last.
 */
export function watchedV3Program(options: ProgramOptions): Program {
  const watched = [...steps, ...watchSteps(options)];
  return fc.oneof(
    { weight: 9, arbitrary: programOf(watched, 50).map((list) => list.map(lasting)) },
    {
      weight: 1,
      arbitrary: programOf([...watched, { weight: 40, arbitrary: largePut }], 30).map((list) => list.map(lasting)),
    },
  );
}

function programOf(weighted: readonly fc.WeightedArbitrary<V3Step>[], maxLength: number): Program {
  const granted = [101, 102].map((ID): V3Step => ({ call: "Lease/LeaseGrant", request: { ID, TTL: 6000 } }));
  const step = fc.oneof(...weighted);
  return fc.array(step, { minLength: 10, maxLength, size: "max" }).map((list) => [...granted, ...list]);
}

function lasting(step: V3Step): V3Step {
  const { call, request } = step;
  return call === "Lease/LeaseGrant" && Number(request.TTL ?? 0) < 10
    ? { call, request: { ...request, TTL: 6000 } }
    : step;
}
