/** A node as etcd 2.0 to 3.6 are with v2 discovery (server/etcdserver/api/v2discovery/discovery.go). */
import { z } from "zod";
import { type Bootstrap, insist, NodeDied, nothing } from "./bootstrap.ts";
import type { FormingNode } from "./history.ts";
import { type HttpAnswer, HttpClient } from "./http-client.ts";
import { CLIENT_TIMEOUT_MS, type Target } from "./target.ts";

const node = z.object({ key: z.string(), value: z.string(), createdIndex: z.number(), modifiedIndex: z.number() });
const listing = z.object({ node: z.object({ nodes: z.array(node).default([]) }) });
const event = z.object({ action: z.string(), node });
type Node = z.infer<typeof node>;

/** Goes through one life of the node: resolves when it has its list or was sent away, dies where etcd would. */
export async function playV2(bootstrap: Bootstrap): Promise<FormingNode["outcome"]> {
  using played = new PlayedV2(bootstrap);
  return played.live();
}

class PlayedV2 implements Disposable {
  readonly #bootstrap: Bootstrap;
  readonly #http = new HttpClient();
  /** The Muster that answered last: connections are kept. */
  #target: Target | undefined;

  constructor(bootstrap: Bootstrap) {
    this.#bootstrap = bootstrap;
  }

  async live(): Promise<FormingNode["outcome"]> {
    const { size } = this.#bootstrap;
    await this.#ask("/_config/size");
    if (this.#isFull((await this.#list()).nodes)) return { kind: "full" };
    const created = await this.#register();
    await this.#ask(`/${this.#bootstrap.id}?wait=true&waitIndex=${created}`);
    for (;;) {
      const { nodes, index } = await this.#list();
      if (this.#isFull(nodes)) return { kind: "full" };
      const members = nodes.slice(0, size);
      const missing = await this.#waitFor(members, index);
      if (missing) return formed(members);
    }
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  /** Adds those who come to `members` until all are there; false where the connection was lost: etcd lists them anew. */
  async #waitFor(members: Node[], index: number): Promise<boolean> {
    let next = index + 1;
    while (members.length < this.#bootstrap.size) {
      const answer = await this.#try(`?wait=true&recursive=true&waitIndex=${next}`);
      if (answer === undefined || answer.body.trim() === "") return false;
      const came = event.parse(JSON.parse(answer.body));
      if (members.some(({ key }) => key === came.node.key)) {
        throw new Error(`found duplicate name: ${came.action} ${came.node.key} at ${came.node.modifiedIndex}`);
      }
      members.push(came.node);
      next = came.node.modifiedIndex + 1;
    }
    return true;
  }

  async #list(): Promise<{ readonly nodes: readonly Node[]; readonly index: number }> {
    const { body, headers } = await this.#ask("");
    const { nodes } = listing.parse(JSON.parse(body)).node;
    const sorted = nodes.sort((a, b) => a.createdIndex - b.createdIndex);
    return { nodes: sorted, index: Number(headers["x-etcd-index"]) };
  }

  #isFull(nodes: readonly Node[]): boolean {
    const { id, size } = this.#bootstrap;
    const isMember = nodes.slice(0, size).some(({ key }) => key.endsWith(`/${id}`));
    return nodes.length >= size && !isMember;
  }

  /** Gives the createdIndex. */
  async #register(): Promise<number> {
    const { token, id, value, targets } = this.#bootstrap;
    const target = this.#target ?? targets[0];
    if (target === undefined) throw new Error("give it a Muster to ask");
    const url = `${target.publicUrl}/${token}/${id}?prevExist=false`;
    const answer = await this.#http
      .ask({ method: "PUT", url, form: { value }, timeoutMs: CLIENT_TIMEOUT_MS })
      .catch(nothing);
    if (answer === undefined || answer.status >= 500) {
      throw new NodeDied(`its PUT was answered ${answer?.status ?? "not at all"} ${answer?.body.trim() ?? ""}`);
    }
    refuseFatal(answer, url);
    return event.parse(JSON.parse(answer.body)).node.createdIndex;
  }

  /** A GET, again and again until it is answered. */
  async #ask(path: string): Promise<HttpAnswer> {
    return insist(this.#bootstrap, async (target) => {
      this.#target = this.#target ?? target;
      const answer = await this.#try(path);
      return answer?.body.trim() === "" ? undefined : answer;
    });
  }

  /** One GET, of the Muster that answered last; undefined where none came, and the next one goes to another. */
  async #try(path: string): Promise<HttpAnswer | undefined> {
    const { token, targets, dice, signal } = this.#bootstrap;
    this.#target ??= dice.one(targets);
    const url = `${this.#target.publicUrl}/${token}${path}`;
    const timeoutMs = path.includes("wait=") ? 2 * CLIENT_TIMEOUT_MS : CLIENT_TIMEOUT_MS;
    const answer = await this.#http.ask({ method: "GET", url, timeoutMs, signal }).catch(nothing);
    if (answer === undefined || answer.status >= 500) {
      this.#target = undefined;
      return undefined;
    }
    refuseFatal(answer, url);
    return answer;
  }
}

function formed(members: readonly Node[]): FormingNode["outcome"] {
  const inOrder = [...members].sort((a, b) => a.createdIndex - b.createdIndex);
  return { kind: "formed", members: inOrder.map(({ value }) => value) };
}

function refuseFatal({ status, body }: HttpAnswer, url: string): void {
  if (status !== 200 && status !== 201) throw new Error(`${url} was answered ${status} ${body.trim()}`);
}
