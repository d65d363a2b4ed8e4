/** Brings faults about, and ends them. */
import { deferred } from "../support/deferred.ts";
import type { Fault, Role, Way } from "./fault-plan.ts";
import { loseStoreAnswers } from "./lost-store-answers.ts";
import type { Network, Place } from "./place.ts";
import type { StoreEtcd, StoreEtcds } from "./store-etcds.ts";
import type { StoreMuster } from "./store-muster.ts";
import type { Worker } from "./worker.ts";

export interface Stage {
  readonly network: Network;
  /** Absent: each Muster has a store of its own. */
  readonly etcds: StoreEtcds | undefined;
  readonly musters: readonly StoreMuster[];
}

export interface StageUnderLoad extends Stage {
  /** Its recorder has what the load did; faults that need more load make it as this one. */
  readonly worker: Worker;
}

/** A fault that lasts. */
export interface Lasting {
  /** What it is, with the names of those whom it met. */
  readonly what: string;
  /** The Musters that must go on serving. */
  readonly serving: readonly StoreMuster[];
  /** Those that must refuse, in so many words and in time. */
  readonly refusing: readonly StoreMuster[];
  /** Those whose /health must say that their clock is wrong. */
  readonly wrongClocks: readonly StoreMuster[];
  /** Those that were killed though they serve meanwhile. */
  readonly restarted: readonly StoreMuster[];
  end(): Promise<void>;
}

export async function bringAbout(fault: Fault, stage: StageUnderLoad): Promise<Lasting> {
  switch (fault.kind) {
    case "killEtcds":
      return killEtcds(fault.which, stage);
    case "stopEtcd":
      return stopEtcd(fault.which, stage);
    case "cutEtcd":
      return cutEtcd(fault, stage);
    case "killMusters":
      return killMusters(fault.musters, stage);
    case "stopMuster":
      return stopMuster(fault.muster, stage);
    case "cutMuster":
      return cutMuster(fault, stage);
    case "loseAnswers":
      return loseAnswers(fault.muster, stage);
    case "loseStoreAnswers":
      return loseAnswersOfStore(fault.muster, stage);
    case "shiftClock":
      return shiftClock(fault, stage);
  }
}

async function killEtcds(which: Role | "two" | "all", stage: Stage): Promise<Lasting> {
  const etcds = etcdsOf(stage);
  const [leader] = await etcds.of("leader");
  const followers = await etcds.of("follower");
  const victims = {
    follower: followers.slice(0, 1),
    leader: etcds.nodes.filter((node) => node === leader),
    two: etcds.nodes.filter((node) => node !== followers[0]),
    all: etcds.nodes,
  }[which];
  await Promise.all(victims.map((node) => node.kill()));
  const hasQuorum = victims.length * 2 < etcds.nodes.length;
  return {
    what: `kill -9 of ${namesOf(victims)} (${which})`,
    serving: hasQuorum ? stage.musters : [],
    refusing: hasQuorum ? [] : stage.musters,
    wrongClocks: [],
    restarted: [],
    end: async () => {
      await Promise.all(victims.map((node) => node.restart()));
      await etcds.whenHealthy();
    },
  };
}

async function stopEtcd(which: Role, stage: Stage): Promise<Lasting> {
  const etcds = etcdsOf(stage);
  const victim = await oneOf(etcds, which);
  victim.signal("SIGSTOP");
  return {
    ...everybodyServes(stage),
    what: `SIGSTOP of ${victim.name} (${which})`,
    end: async () => {
      victim.signal("SIGCONT");
      await etcds.whenHealthy();
    },
  };
}

async function cutEtcd(
  { which, from, way }: { readonly which: Role; readonly from: "peers" | "everybody"; readonly way: Way },
  stage: Stage,
): Promise<Lasting> {
  const etcds = etcdsOf(stage);
  const victim = await oneOf(etcds, which);
  const peers = etcds.nodes.filter((node) => node !== victim).map(({ place }) => place);
  const others = from === "peers" ? peers : [...peers, ...stage.musters.map(({ place }) => place)];
  const heal = await cutOff(stage.network, { place: victim.place, others, way });
  return {
    ...everybodyServes(stage),
    what: `${victim.name} (${which}) cut off from ${from} (${way})`,
    end: async () => {
      await heal();
      await etcds.whenHealthy();
    },
  };
}

async function killMusters(victims: readonly number[], stage: Stage): Promise<Lasting> {
  const dead = stage.musters.filter((_, place) => victims.includes(place));
  const over = deferred();
  const crashes = dead.map((muster) => muster.crash(over.promise));
  return {
    ...everybodyServes(stage),
    serving: stage.musters.filter((muster) => !dead.includes(muster)),
    what: `kill -9 of ${namesOf(dead)}`,
    end: async () => {
      over.resolve();
      await Promise.all(crashes);
    },
  };
}

async function stopMuster(victim: number, stage: Stage): Promise<Lasting> {
  const muster = musterOf(stage, victim);
  muster.signal("SIGSTOP");
  return {
    ...everybodyServes(stage),
    serving: stage.musters.filter((other) => other !== muster),
    what: `SIGSTOP of ${muster.name}`,
    end: async () => muster.signal("SIGCONT"),
  };
}

async function cutMuster(
  { muster, from, way }: { readonly muster: number; readonly from: Role | "store"; readonly way: Way },
  stage: Stage,
): Promise<Lasting> {
  const etcds = etcdsOf(stage);
  const victim = musterOf(stage, muster);
  const others = from === "store" ? etcds.nodes : [await oneOf(etcds, from)];
  const heal = await cutOff(stage.network, {
    place: victim.place,
    others: others.map(({ place }) => place),
    way,
  });
  const isAlone = from === "store";
  return {
    what: `${victim.name} cut off from ${namesOf(others)} (${from}, ${way})`,
    serving: isAlone ? stage.musters.filter((other) => other !== victim) : stage.musters,
    refusing: isAlone ? [victim] : [],
    wrongClocks: [],
    restarted: [],
    end: heal,
  };
}

async function loseAnswers(muster: number, stage: Stage): Promise<Lasting> {
  const victim = musterOf(stage, muster);
  const { network } = stage;
  await network.cut(victim.place, network.outside);
  return {
    ...everybodyServes(stage),
    serving: stage.musters.filter((other) => other !== victim),
    what: `answers of ${victim.name} to its clients are lost`,
    end: () => network.heal(victim.place, network.outside),
  };
}

async function loseAnswersOfStore(muster: number, stage: StageUnderLoad): Promise<Lasting> {
  const victim = musterOf(stage, muster);
  return {
    ...everybodyServes(stage),
    what: `answers of the store to ${victim.name} are lost again and again`,
    end: loseStoreAnswers(victim, stage.worker),
  };
}

async function shiftClock(
  { muster, ms, restart }: { readonly muster: number; readonly ms: number; readonly restart: boolean },
  stage: Stage,
): Promise<Lasting> {
  const victim = musterOf(stage, muster);
  await victim.setClock(ms, restart ? "nextStart" : "now");
  if (restart) {
    await victim.crash(Promise.resolve());
    await victim.whenReady();
  }
  // An embedded store has no peers to say what is right when it starts.
  const shows = !restart || stage.etcds !== undefined;
  return {
    ...everybodyServes(stage),
    what: `the clock of ${victim.name} ${ms / 60_000} min off${restart ? ", from a new start on" : ""}`,
    wrongClocks: shows ? [victim] : [],
    restarted: restart ? [victim] : [],
    end: () => victim.setClock(0, "now"),
  };
}

function everybodyServes({ musters }: Stage): Pick<Lasting, "serving" | "refusing" | "wrongClocks" | "restarted"> {
  return { serving: musters, refusing: [], wrongClocks: [], restarted: [] };
}

/** Gives how to undo it. */
async function cutOff(
  network: Network,
  { place, others, way }: { readonly place: Place; readonly others: readonly Place[]; readonly way: Way },
): Promise<() => Promise<void>> {
  const links = others.flatMap((other) => [
    ...(way === "in" ? [] : [{ from: place, to: other }]),
    ...(way === "out" ? [] : [{ from: other, to: place }]),
  ]);
  for (const { from, to } of links) await network.cut(from, to);
  return async () => {
    for (const { from, to } of links) await network.heal(from, to);
  };
}

async function oneOf(etcds: StoreEtcds, role: Role): Promise<StoreEtcd> {
  const [node] = await etcds.of(role);
  if (node === undefined) throw new Error(`give the store a ${role}`);
  return node;
}

function etcdsOf({ etcds }: Stage): StoreEtcds {
  if (etcds === undefined) throw new Error("plan faults of the store only where it is an etcd");
  return etcds;
}

function musterOf({ musters }: Stage, place: number): StoreMuster {
  const muster = musters[place];
  if (muster === undefined) throw new Error(`choose a Muster below ${musters.length}: there is no ${place}`);
  return muster;
}

function namesOf(those: readonly { readonly name: string }[]): string {
  return those.map(({ name }) => name).join(" and ");
}
