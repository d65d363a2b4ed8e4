/** Real etcds that form through the Musters, behind a load balancer, while faults befall those. */
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { EtcdCluster } from "../support/etcd-cluster.ts";
import { EtcdNode, v3Discovery } from "../support/etcd-node.ts";
import { registeredMembers } from "../support/registered.ts";
import { until } from "../support/until.ts";

const SIZE = 3;
const TOKEN_MS = 60_000;
/** After faults etcd waits up to 2, 4, 8, … s before it asks again. */
const FORMING_MS = 150_000;

export class RealCluster implements AsyncDisposable {
  readonly #binaries: EtcdBinaries;
  readonly #discovery: string;
  readonly #protocol: "v2" | "v3";
  readonly #nodes: EtcdNode[] = [];

  private constructor(binaries: EtcdBinaries, discovery: string, protocol: "v2" | "v3") {
    this.#binaries = binaries;
    this.#discovery = discovery;
    this.#protocol = protocol;
  }

  /** Makes its token; no node comes yet. */
  static async open(binaries: EtcdBinaries, url: string): Promise<RealCluster> {
    const discovery = await until(
      async () => {
        const answer = await fetch(`${url}/new?size=${SIZE}`, { signal: AbortSignal.timeout(10_000) });
        const text = await answer.text();
        return answer.ok ? text.trim() : undefined;
      },
      { timeoutMs: TOKEN_MS, what: "a token" },
    );
    const knowsV2 = Number(binaries.version.split(".")[1]) < 6;
    return new RealCluster(binaries, discovery, knowsV2 ? "v2" : "v3");
  }

  get name(): string {
    return `a real etcd ${this.#binaries.version} cluster (${this.#protocol} discovery)`;
  }

  get isWhole(): boolean {
    return this.#nodes.length === SIZE;
  }

  /** One more node boots; its supervisor starts it again when it gives up. */
  async startNode(): Promise<void> {
    const discovery = this.#protocol === "v2" ? this.#discovery : v3Discovery(this.#discovery);
    const name = `real${this.#nodes.length}`;
    this.#nodes.push(await EtcdNode.start(this.#binaries, { name, discovery, supervised: true, quiet: true }));
  }

  /** Waits until all serve as one cluster of just those who registered; resolves with what is wrong, if anything is. */
  async whenFormed(): Promise<string | undefined> {
    try {
      const cluster = new EtcdCluster(this.#binaries, this.#nodes);
      await cluster.whenHealthy(FORMING_MS);
      const started = this.#nodes.map(({ name, peerUrl }) => `${name}=${peerUrl}`).sort();
      const listed = await registeredMembers(this.#discovery);
      const lists = await Promise.all(this.#nodes.map((_, place) => cluster.members(place)));
      const wrong = [listed, ...lists].find((list) => list.join() !== started.join());
      return wrong === undefined ? undefined : `${this.name}: ${started} came, and ${wrong} are members`;
    } catch (error) {
      const outputs = this.#nodes.map((node) => `--- ${node.name}, started ${node.starts} times:\n${node.output()}`);
      return `${this.name} did not form: ${error}\n${outputs.join("\n")}`;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }
}

/** Real clusters that form one after the other: a node more after each step, and the next cluster when one has formed. */
export class RealClusters implements AsyncDisposable {
  readonly #open: readonly (() => Promise<RealCluster>)[];
  #made = 0;
  #cluster: RealCluster | undefined;
  /** How many have formed. */
  formed = 0;

  constructor(open: readonly (() => Promise<RealCluster>)[]) {
    this.#open = open;
  }

  /** Call it now and then: lets something happen, and gives what went wrong. */
  async goOn(): Promise<readonly string[]> {
    const open = this.#open[this.#made % this.#open.length];
    if (open === undefined) return [];
    if (this.#cluster === undefined) {
      this.#cluster = await open();
      this.#made += 1;
    } else if (this.#cluster.isWhole) return this.end();
    await this.#cluster.startNode();
    return [];
  }

  /** Lets the one that forms have all its nodes, and waits until it has formed. */
  async end(): Promise<readonly string[]> {
    const cluster = this.#cluster;
    this.#cluster = undefined;
    if (cluster === undefined) return [];
    await using running = cluster;
    while (!running.isWhole) await running.startNode();
    const wrong = await running.whenFormed();
    if (wrong === undefined) this.formed += 1;
    return wrong === undefined ? [] : [wrong];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster?.[Symbol.asyncDispose]();
  }
}
