import { Dice } from "./dice.ts";

/** Who of the store is meant; who that is shows when it happens. */
export type Role = "follower" | "leader";

/** What befalls the processes, and ends when the step does. Musters are counted from 0. */
export type Fault =
  | { readonly kind: "killEtcds"; readonly which: Role | "two" | "all" }
  | { readonly kind: "stopEtcd"; readonly which: Role }
  /** From its peers: Musters still reach it. `everybody`: from them, too. */
  | { readonly kind: "cutEtcd"; readonly which: Role; readonly from: "peers" | "everybody"; readonly way: Way }
  | { readonly kind: "killMusters"; readonly musters: readonly number[] }
  | { readonly kind: "stopMuster"; readonly muster: number }
  | { readonly kind: "cutMuster"; readonly muster: number; readonly from: Role | "store"; readonly way: Way }
  /** What clients ask arrives, what they are told does not. */
  | { readonly kind: "loseAnswers"; readonly muster: number }
  /** What the Muster tells its etcds arrives, what they answer does not, again and again: outcomes of writes are unknown. */
  | { readonly kind: "loseStoreAnswers"; readonly muster: number }
  /** `restart`: it comes up with the wrong clock. */
  | { readonly kind: "shiftClock"; readonly muster: number; readonly ms: number; readonly restart: boolean };

/** `out`: what it sends is lost, what is sent to it arrives; `in`: the other way round. */
export type Way = "both" | "out" | "in";

export type FaultKind = Fault["kind"];

export interface Step {
  /** At the same time. One alone, and what must go on is looked at while it lasts. */
  readonly faults: readonly Fault[];
  /** How long it lasts once that has been seen. */
  readonly holdMs: number;
  /** Between its end, when all is well again, and the next. */
  readonly pauseMs: number;
}

export interface PlanOptions {
  readonly musters: number;
  /** 0: each Muster has a store of its own, and nothing can befall an etcd. */
  readonly etcds: number;
  readonly canCut: boolean;
  /** The Muster that has a relay between itself and its etcds; absent: none has. */
  readonly relayed?: number;
}

const TEN_MINUTES_MS = 600_000;

/** A fault lasts so long at least: connections notice it. */
const LEAST_HOLD_MS = 1000;

/** Every fault that must not be left out, once, in an order of its own: a minute and a half. */
export function shortPlan(seed: number, options: PlanOptions): readonly Step[] {
  const dice = new Dice(seed);
  const roles = shuffled(dice, ["follower", "leader"] as const);
  const [first = "leader", second = "follower"] = roles;
  const muster = () => dice.below(options.musters);
  const way = (): Way => dice.one(["both", "out", "in"]);
  const restart = dice.below(2) === 0;
  const faults: readonly Fault[] = [
    { kind: "killEtcds", which: "follower" },
    { kind: "killEtcds", which: "leader" },
    { kind: "killEtcds", which: "two" },
    { kind: "stopEtcd", which: first },
    { kind: "cutEtcd", which: second, from: dice.one(["peers", "everybody"]), way: way() },
    { kind: "killMusters", musters: [muster()] },
    { kind: "stopMuster", muster: muster() },
    { kind: "cutMuster", muster: muster(), from: dice.one(["leader", "store"]), way: way() },
    { kind: "loseAnswers", muster: muster() },
    { kind: "loseStoreAnswers", muster: options.relayed ?? 0 },
    { kind: "shiftClock", muster: muster(), ms: dice.one([-1, 1]) * TEN_MINUTES_MS, restart },
  ];
  const possible = faults.filter((fault) => isPossible(fault, options));
  return shuffled(dice, possible).map((fault) => stepOf(dice, [fault], { holdMs: 1500, pauseMs: 1000 }));
}

/**
 * Short plans without end, no two alike, and between their steps others with two faults at a time: one of the store and
 * one of Musters, which comes first because it may ask who leads.
 */
export function* longPlan(seed: number, options: PlanOptions): Generator<Step> {
  const dice = new Dice(seed);
  for (;;) {
    const deck = shortPlan(dice.below(2 ** 31), options);
    const others = shuffled(dice, shortPlan(dice.below(2 ** 31), options));
    for (const [place, { faults }] of deck.entries()) {
      yield stepOf(dice, faults, { holdMs: 6000, pauseMs: 3000 });
      const beside = others[place]?.faults ?? [];
      const both = [...faults, ...beside].sort((a, b) => Number(meetsEtcd(a)) - Number(meetsEtcd(b)));
      const isMixed = both.filter(meetsEtcd).length === 1 && both.length === 2;
      if (isMixed && dice.below(3) === 0) yield stepOf(dice, both, { holdMs: 6000, pauseMs: 3000 });
    }
    if (options.etcds > 0) yield stepOf(dice, [{ kind: "killEtcds", which: "all" }], { holdMs: 6000, pauseMs: 3000 });
  }
}

function meetsEtcd({ kind }: Fault): boolean {
  return kind === "killEtcds" || kind === "stopEtcd" || kind === "cutEtcd";
}

function stepOf(dice: Dice, faults: readonly Fault[], most: Pick<Step, "holdMs" | "pauseMs">): Step {
  return { faults, holdMs: LEAST_HOLD_MS + dice.below(most.holdMs), pauseMs: dice.below(most.pauseMs) };
}

function isPossible({ kind }: Fault, { etcds, canCut, relayed }: PlanOptions): boolean {
  switch (kind) {
    case "killEtcds":
    case "stopEtcd":
      return etcds > 0;
    case "cutEtcd":
    case "cutMuster":
      return etcds > 0 && canCut;
    case "loseAnswers":
      return canCut;
    case "loseStoreAnswers":
      return etcds > 0 && relayed !== undefined;
    case "killMusters":
    case "stopMuster":
    case "shiftClock":
      return true;
  }
}

function shuffled<T>(dice: Dice, things: readonly T[]): readonly T[] {
  return things
    .map((thing) => ({ thing, place: dice.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ thing }) => thing);
}
