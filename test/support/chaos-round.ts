import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type NodeFault, PHASES, type RoundPlan } from "./chaos-plan.ts";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import type { EtcdNode } from "./etcd-node.ts";
import { registeredMembers, registrations } from "./registered.ts";
import { Scenario } from "./scenario.ts";

/** Muster's deaths make etcd wait up to 2, 4, 8, … s before it asks again. */
const FORMING_TIMEOUT_MS = 120_000;

/** What a round's faults did, for the summary. */
export interface RoundOutcome {
  readonly ms: number;
  readonly nodeKills: number;
  readonly wipes: number;
  readonly musterKills: number;
  /** Muster's deaths between the sync of a registration and its answer. */
  readonly unanswered: number;
}

/**
 * One bootstrap with a Muster of its own, and what its plan says happens to it: resolves when it has formed one healthy,
 * writable cluster of exactly those who are registered; rejects with all that is known about it.
 */
export async function runRound(binaries: EtcdBinaries, plan: RoundPlan): Promise<RoundOutcome> {
  const round = new Round(plan);
  await using scenario = await Scenario.start(binaries, {
    supervised: true,
    quiet: true,
    flags: ["--log-level", "debug"],
    diesBeforeAnswer: plan.diesBeforeAnswer,
  });
  try {
    return await round.run(scenario);
  } catch (cause) {
    throw new Error(await round.report(scenario), { cause });
  }
}

class Round {
  readonly #plan: RoundPlan;
  readonly #begun = performance.now();
  readonly #events: string[] = [];
  #discovery = "";
  #nodeKills = 0;
  #wipes = 0;

  constructor(plan: RoundPlan) {
    this.#plan = plan;
  }

  async run(scenario: Scenario): Promise<RoundOutcome> {
    const { muster } = scenario;
    const { nodes, musterKillsMs } = this.#plan;
    this.#discovery = await muster.newToken(nodes.length);
    this.#note("token made");
    await Promise.all([
      ...nodes.map((_, position) => this.#runNode(scenario, position)),
      ...musterKillsMs.map(async (ms) => {
        await sleep(ms);
        this.#note("kill muster");
        await muster.crash();
        this.#note("muster started again");
      }),
    ]);
    await this.#expectOneCluster(scenario);
    const ms = Math.round(performance.now() - this.#begun);
    const musterKills = musterKillsMs.length;
    // A kill that met a Muster that was dead already made no start of its own.
    const unanswered = Math.max(0, muster.starts - 1 - musterKills);
    return { ms, nodeKills: this.#nodeKills, wipes: this.#wipes, musterKills, unanswered };
  }

  /** Everything that helps to find out why it did not form. */
  async report({ muster, nodes }: Scenario): Promise<string> {
    const listed = await registrations(this.#discovery).catch((error: unknown) => String(error));
    return [
      "a bootstrap did not form one healthy cluster of those registered",
      `plan: ${JSON.stringify(this.#plan)}`,
      ...["happened:", ...this.#events],
      `registered: ${JSON.stringify(listed)}`,
      ...["--- muster", muster.output()],
      ...nodes.flatMap((node) => [`--- ${node.name} (${node.peerUrl}), started ${node.starts} times`, node.output()]),
    ].join("\n");
  }

  async #runNode(scenario: Scenario, position: number): Promise<void> {
    const { startMs = 0, faults = [] } = this.#plan.nodes[position] ?? {};
    await sleep(startMs);
    const options = { name: `n${position}`, discovery: this.#discovery, supervised: true, quiet: true };
    const node = await scenario.startNode(options);
    this.#note(`${node.name} started`);
    for (const fault of faults) {
      await this.#strike(node, fault);
    }
  }

  async #strike(node: EtcdNode, { after, delayMs, wipe }: NodeFault): Promise<void> {
    // A run that skips the phase (it has its data) comes to a leader; one that ends by itself has nothing to be killed.
    const phase = new RegExp(`${PHASES[after].source}|${PHASES.hasLeader.source}`);
    await Promise.race([node.waitForOutput(phase, FORMING_TIMEOUT_MS), node.whenEnded()]);
    await sleep(delayMs);
    this.#note(`kill ${node.name}, ${delayMs} ms after it ${after}`);
    const { wiped } = await node.crash({ wipe });
    this.#nodeKills += 1;
    this.#wipes += wiped ? 1 : 0;
    this.#note(`${node.name} started again, ${wiped ? "without" : "with"} its data`);
  }

  async #expectOneCluster(scenario: Scenario): Promise<void> {
    const { nodes } = scenario;
    const cluster = scenario.clusterOf(nodes);
    await cluster.whenHealthy(FORMING_TIMEOUT_MS);
    this.#note("all healthy");
    const started = nodes.map(({ name, peerUrl }) => `${name}=${peerUrl}`).sort();
    await scenario.muster.whenReady();
    expect(await registeredMembers(this.#discovery), "registered").toEqual(started);
    await cluster.put(0, "round", this.#discovery);
    for (const position of nodes.keys()) {
      expect(await cluster.members(position), "members").toEqual(started);
      expect(await cluster.get(position, "round"), "a value that was put on another node").toBe(this.#discovery);
    }
  }

  #note(event: string): void {
    this.#events.push(`${new Date().toISOString()} ${event}`);
  }
}
