import fc from "fast-check";

/** What a node writes (etcd 3.4) when it has come so far. */
export const PHASES = {
  started: /./,
  registered: /found self from discovery server/,
  listComplete: /found all needed peers/,
  becomesMember: /starting local member/,
  hasLeader: /elected leader/,
} as const satisfies Record<string, RegExp>;

export interface NodeFault {
  /** The node is killed so long after it has come so far. */
  readonly after: keyof typeof PHASES;
  readonly delayMs: number;
  /** Its data goes too, if it has not taken part in its cluster yet. */
  readonly wipe: boolean;
}

export interface NodePlan {
  readonly startMs: number;
  /** One after the other. */
  readonly faults: readonly NodeFault[];
}

/** A bootstrap and what happens to it. All times are random, and all come back with the seed. */
export interface RoundPlan {
  /** As many as the token's size. */
  readonly nodes: readonly NodePlan[];
  /** When Muster is killed, from the round's begin. */
  readonly musterKillsMs: readonly number[];
  /** See MusterOptions. */
  readonly diesBeforeAnswer: readonly number[];
}

const PHASE_NAMES = ["started", "registered", "listComplete", "becomesMember", "hasLeader"] as const;

const nodeFault = fc.record({
  after: fc.constantFrom(...PHASE_NAMES),
  // Most of a bootstrap's steps take some ms, only the wait for others and for a leader takes longer.
  delayMs: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 500 })),
  wipe: fc.boolean(),
});

const nodePlan = fc.record({
  startMs: fc.integer({ min: 0, max: 1500 }),
  faults: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 3, arbitrary: fc.array(nodeFault, { minLength: 1, maxLength: 2 }) },
  ),
});

const nodePlans = fc
  .constantFrom(1, 2, 3, 3, 3, 3, 4, 5)
  .chain((size) => fc.array(nodePlan, { minLength: size, maxLength: size }));

const roundPlan = fc.record({
  nodes: nodePlans,
  musterKillsMs: fc.oneof(fc.constant([]), fc.array(fc.integer({ min: 0, max: 2500 }), { minLength: 1, maxLength: 1 })),
  diesBeforeAnswer: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 2 }) },
  ),
});

/** The plans of so many rounds, the same ones for the same seed. */
export function roundPlans(seed: number, rounds: number): readonly RoundPlan[] {
  return fc.sample(roundPlan, { seed, numRuns: rounds });
}
