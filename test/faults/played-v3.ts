/** A node as etcd 3.6 and 3.7 are with v3 discovery (server/etcdserver/api/v3discovery/discovery.go). */
import type { KeyValue } from "../../src/proto/mvccpb.ts";
import { type Bootstrap, insist, NodeDied } from "./bootstrap.ts";
import type { Change, FormingNode } from "./history.ts";
import type { Target } from "./target.ts";
import { textOf, V3Client } from "./v3-client.ts";

interface Member {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
}

/** Goes through one life of the node: resolves when it has its list or was sent away, dies where etcd would. */
export async function playV3(bootstrap: Bootstrap): Promise<FormingNode["outcome"]> {
  const oddities: string[] = [];
  using v3 = new V3Client((what) => oddities.push(what));
  // Nodes go to the public listener, for all that they ask.
  const targets = bootstrap.targets.map((target) => ({ ...target, clientUrl: target.publicUrl }));
  const played = new PlayedV3({ ...bootstrap, targets }, v3);
  const outcome = await played.live();
  return oddities.length === 0 ? outcome : { kind: "failed", why: oddities.join("; ") };
}

class PlayedV3 {
  readonly #bootstrap: Bootstrap;
  readonly #v3: V3Client;
  readonly #directory: string;

  constructor(bootstrap: Bootstrap, v3: V3Client) {
    this.#bootstrap = bootstrap;
    this.#v3 = v3;
    this.#directory = `/_etcd/registry/${bootstrap.token}`;
  }

  async live(): Promise<FormingNode["outcome"]> {
    const { size } = this.#bootstrap;
    await this.#range(`${this.#directory}/_config/size`);
    if (this.#isFull((await this.#list()).members)) return { kind: "full" };
    await this.#register();
    const { members, revision } = await this.#list();
    if (this.#isFull(members)) return { kind: "full" };
    const all = new Map(members.slice(0, size).map((member) => [member.key, member]));
    await this.#waitFor(all, revision);
    const inOrder = [...all.values()].sort((a, b) => a.createRevision - b.createRevision);
    return { kind: "formed", members: inOrder.map(({ value }) => value) };
  }

  async #waitFor(all: Map<string, Member>, revision: number): Promise<void> {
    const { size, signal } = this.#bootstrap;
    let next = revision;
    while (all.size < size) {
      await insist(this.#bootstrap, async (target) => {
        const complete = new AbortController();
        const options = {
          prefix: `${this.#directory}/members`,
          from: next,
          signal: AbortSignal.any([signal, complete.signal]),
        };
        await this.#v3.watch(target, options, ({ key, value, revision: at }: Change) => {
          if (value !== undefined && !all.has(key) && all.size < size) all.set(key, { key, value, createRevision: at });
          next = at + 1;
          if (all.size >= size) complete.abort();
        });
        return all.size >= size ? true : undefined;
      });
    }
  }

  async #list(): Promise<{ readonly members: readonly Member[]; readonly revision: number }> {
    const { kvs, revision } = await this.#range(`${this.#directory}/members`, true);
    const members = kvs.map(({ key, value, createRevision }) => ({
      key: textOf(key),
      value: textOf(value),
      createRevision,
    }));
    return { members: members.sort((a, b) => a.createRevision - b.createRevision), revision };
  }

  #isFull(members: readonly Member[]): boolean {
    const { id, size } = this.#bootstrap;
    const isMember = members.slice(0, size).some(({ key }) => key.endsWith(`/${id}`));
    return members.length >= size && !isMember;
  }

  async #register(): Promise<void> {
    const { id, value, targets, dice } = this.#bootstrap;
    const { outcome } = await this.#v3.put(dice.one(targets), { key: `${this.#directory}/members/${id}`, value });
    if (outcome.kind !== "done") throw new NodeDied(`its Put: ${outcome.why}`);
  }

  #range(key: string, prefix = false): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }> {
    return insist(this.#bootstrap, async (target: Target) => {
      const answer = await this.#v3.range(target, { key, prefix });
      return answer === undefined ? undefined : { kvs: answer.kvs, revision: answer.header?.revision ?? 0 };
    });
  }
}
