/** The etcd cluster that Musters have as their store: real processes, each in a place of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { etcdEnvironment } from "../support/etcd-server.ts";
import type { RunningProcess } from "../support/processes.ts";
import { answersOk, until } from "../support/until.ts";
import type { Network, Place } from "./place.ts";

const READY_MS = 60_000;

export class StoreEtcd {
  readonly place: Place;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly #directory: string;
  #launch: (() => Promise<RunningProcess>) | undefined;
  #process: RunningProcess | undefined;
  #earlier = "";

  constructor(place: Place, directory: string, [clientPort = 0, peerPort = 0]: readonly number[]) {
    this.place = place;
    this.clientUrl = `http://${place.address}:${clientPort}`;
    this.peerUrl = `http://${place.address}:${peerPort}`;
    this.#directory = directory;
  }

  get name(): string {
    return this.place.name;
  }

  /** `cluster`: all of them as `name=peerURL`. */
  async start(binaries: EtcdBinaries, cluster: string): Promise<void> {
    const parameters = [
      ...["--name", this.name, "--data-dir", join(this.#directory, "data")],
      ...["--listen-client-urls", this.clientUrl, "--advertise-client-urls", this.clientUrl],
      ...["--listen-peer-urls", this.peerUrl, "--initial-advertise-peer-urls", this.peerUrl],
      ...["--initial-cluster", cluster, "--initial-cluster-state", "new"],
      ...["--logger", "zap", "--log-outputs", "stderr", "--log-level", "warn"],
    ];
    this.#launch = () => this.place.start(binaries.etcd, parameters, { env: etcdEnvironment() });
    await this.restart();
  }

  /** Starts it on its data. */
  async restart(): Promise<void> {
    this.#earlier = this.output();
    this.#process = await this.#launch?.();
  }

  /** SIGKILL; its data stays. */
  async kill(): Promise<void> {
    await this.#process?.stop("SIGKILL");
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  output(): string {
    return this.#earlier + (this.#process?.output() ?? "");
  }

  /** Whether it leads, by its own word; undefined where it does not answer. */
  async isLeader(): Promise<boolean | undefined> {
    try {
      const answer = await fetch(`${this.clientUrl}/metrics`, { signal: AbortSignal.timeout(2000) });
      return /^etcd_server_is_leader 1$/m.test(await answer.text());
    } catch {
      // It is dead, stopped or cut off.
      return undefined;
    }
  }

  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export class StoreEtcds implements AsyncDisposable {
  readonly nodes: readonly StoreEtcd[];

  private constructor(nodes: readonly StoreEtcd[]) {
    this.nodes = nodes;
  }

  static async start(binaries: EtcdBinaries, network: Network, count: number): Promise<StoreEtcds> {
    const nodes: StoreEtcd[] = [];
    for (let number = 1; number <= count; number++) {
      const place = await network.place(`e${number}`);
      const directory = await mkdtemp(join(tmpdir(), `muster-faults-${place.name}-`));
      nodes.push(new StoreEtcd(place, directory, await place.ports(2)));
    }
    const etcds = new StoreEtcds(nodes);
    try {
      const cluster = nodes.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
      await Promise.all(nodes.map((node) => node.start(binaries, cluster)));
      await etcds.whenHealthy();
      return etcds;
    } catch (error) {
      const output = etcds.output();
      await etcds[Symbol.asyncDispose]();
      throw new Error(`the store's etcds did not come up; they wrote:\n${output}`, { cause: error });
    }
  }

  /** `host:port`, as `--store` takes them. */
  get endpoints(): readonly string[] {
    return this.nodes.map(({ clientUrl }) => new URL(clientUrl).host);
  }

  /** Those of a role, as it is now: waits until there is exactly one leader. */
  async of(role: "leader" | "follower"): Promise<readonly StoreEtcd[]> {
    return until(
      async () => {
        const leads = await Promise.all(this.nodes.map((node) => node.isLeader()));
        if (leads.filter((each) => each === true).length !== 1) return undefined;
        return this.nodes.filter((_, place) => leads[place] === (role === "leader"));
      },
      { timeoutMs: READY_MS, what: "the store to have one leader" },
    );
  }

  /** Waits until every one of them serves. */
  async whenHealthy(): Promise<void> {
    const healthy = (node: StoreEtcd) =>
      until(() => answersOk(`${node.clientUrl}/health`), { timeoutMs: READY_MS, what: `${node.name}'s health` });
    await Promise.all(this.nodes.map(healthy));
  }

  output(): string {
    return this.nodes.map((node) => `--- ${node.name} (${node.clientUrl}):\n${node.output()}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
  }
}
