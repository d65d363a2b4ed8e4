import type { EtcdBinaries } from "./etcd-binaries.ts";
import { EtcdCluster } from "./etcd-cluster.ts";
import { EtcdNode, type EtcdNodeOptions, type V3Discovery } from "./etcd-node.ts";
import { type MusterOptions, MusterProcess } from "./muster-process.ts";

/** A Muster and the etcds that a test starts with it. Disposing it ends them all. */
export class Scenario implements AsyncDisposable {
  readonly binaries: EtcdBinaries;
  readonly muster: MusterProcess;
  readonly #nodes: EtcdNode[] = [];

  private constructor(binaries: EtcdBinaries, muster: MusterProcess) {
    this.binaries = binaries;
    this.muster = muster;
  }

  static async start(binaries: EtcdBinaries, options: MusterOptions = {}): Promise<Scenario> {
    return new Scenario(binaries, await MusterProcess.start(options));
  }

  /** The etcds that were started, in order. */
  get nodes(): readonly EtcdNode[] {
    return this.#nodes;
  }

  /** Starts one etcd, which boots while the test goes on. */
  async startNode(options: EtcdNodeOptions): Promise<EtcdNode> {
    const node = await EtcdNode.start(this.binaries, options);
    this.#nodes.push(node);
    return node;
  }

  /** Starts `count` etcds with one discovery, named `<prefix>0` and so on. */
  async startCluster(count: number, discovery: string | V3Discovery, prefix = "node"): Promise<EtcdCluster> {
    const names = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
    const nodes = await Promise.all(names.map((name) => this.startNode({ name, discovery })));
    return this.clusterOf(nodes);
  }

  clusterOf(nodes: readonly EtcdNode[]): EtcdCluster {
    return new EtcdCluster(this.binaries, nodes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
    await this.muster.stop();
  }
}
