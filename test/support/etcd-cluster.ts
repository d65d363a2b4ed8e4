import { z } from "zod";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import type { EtcdNode } from "./etcd-node.ts";
import { etcdctl } from "./etcdctl.ts";

const memberList = z.object({ members: z.array(z.object({ name: z.string(), peerURLs: z.array(z.string()) })) });
const endpointHealth = z.array(z.object({ endpoint: z.string(), health: z.boolean() }));

/** Nodes that were started to be one cluster, and what a real etcdctl says of them. */
export class EtcdCluster {
  readonly nodes: readonly EtcdNode[];
  readonly #binaries: EtcdBinaries;

  constructor(binaries: EtcdBinaries, nodes: readonly EtcdNode[]) {
    this.#binaries = binaries;
    this.nodes = nodes;
  }

  /** Waits until every node serves, then asks etcdctl (v3) for the health of each. */
  async whenHealthy(timeoutMs: number): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.whenHealthy(timeoutMs)));
    const health = endpointHealth.parse(JSON.parse(await this.#v3(["endpoint", "health", "--write-out", "json"])));
    const sick = health.filter((each) => !each.health);
    if (sick.length > 0 || health.length !== this.nodes.length) {
      throw new Error(`etcdctl endpoint health says ${JSON.stringify(health)} of ${this.nodes.length} nodes`);
    }
  }

  /** `name=peerURL` of its members in order of name, as the node at `position` tells them. */
  async members(position = 0): Promise<readonly string[]> {
    const answer = await etcdctl(this.#binaries, { api: 3, endpoints: [this.#endpoint(position)] }, [
      ...["member", "list", "--write-out", "json"],
    ]);
    const { members } = memberList.parse(JSON.parse(answer));
    return members.map(({ name, peerURLs }) => peerURLs.map((url) => `${name}=${url}`).join(",")).sort();
  }

  /** Puts a key (v3) through the node at `position`. */
  async put(position: number, key: string, value: string): Promise<void> {
    await etcdctl(this.#binaries, { api: 3, endpoints: [this.#endpoint(position)] }, ["put", key, value]);
  }

  /** Reads a key (v3, linearizable) from the node at `position`; empty where there is none. */
  async get(position: number, key: string): Promise<string> {
    const options = { api: 3, endpoints: [this.#endpoint(position)] } as const;
    return etcdctl(this.#binaries, options, ["get", key, "--print-value-only"]);
  }

  #endpoint(position: number): string {
    const node = this.nodes[position];
    if (node === undefined) {
      throw new Error(`ask a node from 0 to ${this.nodes.length - 1}: there is none at ${position}`);
    }
    return node.clientUrl;
  }

  async #v3(parameters: readonly string[]): Promise<string> {
    return etcdctl(this.#binaries, { api: 3, endpoints: this.nodes.map((node) => node.clientUrl) }, parameters);
  }
}
