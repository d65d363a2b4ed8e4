import { z } from "zod";

/** A week, in s: what etcd 0.4 gave its own entry, and renewed. */
const MEMBER_TTL_S = 604_800;
const NODE_EXISTS = 105;

const listing = z.object({
  node: z.object({
    nodes: z.array(z.object({ key: z.string(), value: z.string(), ttl: z.number().optional() })).default([]),
  }),
});
const refusal = z.object({ errorCode: z.number() });

export type JoinOutcome =
  /** The first one: it begins the cluster alone. */
  | { readonly role: "leader" }
  /** A later one: it joins these. */
  | { readonly role: "follower"; readonly peers: readonly string[] };

/**
 * Does on the wire what the discovery of etcd 0.4 did, which no longer runs on today's machines: two slashes before the
 * token, values in the form, conditions in the query, and no redirect of a PUT followed (its HTTP library made a GET of it).
 */
export class Etcd04Client {
  readonly name: string;
  readonly peerUrl: string;
  readonly #base: string;

  /** `discovery`: a URL as /new gives it. */
  constructor(discovery: string, member: { readonly name: string; readonly peerUrl: string }) {
    const url = new URL(discovery);
    this.#base = `${url.origin}/${url.pathname}`;
    this.name = member.name;
    this.peerUrl = member.peerUrl;
  }

  /** Registers, tries to become the first node, and else looks for the others. */
  async join(): Promise<JoinOutcome> {
    await this.heartbeat();
    if (await this.#createState()) {
      return { role: "leader" };
    }
    const peers = (await this.registered()).filter(({ name }) => name !== this.name).map(({ url }) => url);
    if (peers.length === 0) {
      throw new Error("Discovery found an initialized cluster but no reachable peers are registered.");
    }
    return { role: "follower", peers };
  }

  /** Registers, or renews the registration. Gives the status: 201 the first time, then 200. */
  async heartbeat(): Promise<number> {
    const answer = await this.#put(`/${this.name}`, { value: this.peerUrl, ttl: String(MEMBER_TTL_S) });
    const text = await answer.text();
    if (answer.status !== 200 && answer.status !== 201) {
      throw new Error(`the registration of ${this.name} was answered ${answer.status}: ${text}`);
    }
    return answer.status;
  }

  /** Who is registered under the token, this one included. */
  async registered(): Promise<readonly { name: string; url: string; ttl: number | undefined }[]> {
    const answer = await fetch(`${this.#base}?recursive=true&sorted=false`);
    const { node } = listing.parse(await answer.json());
    return node.nodes.map(({ key, value, ttl }) => ({ name: key.slice(key.lastIndexOf("/") + 1), url: value, ttl }));
  }

  /** Whether this one was the first to say that the cluster has started. */
  async #createState(): Promise<boolean> {
    const answer = await this.#put("/_state?prevExist=false", { value: "started" });
    const body: unknown = await answer.json();
    if (answer.status === 201) {
      return true;
    }
    const { errorCode } = refusal.parse(body);
    if (errorCode === NODE_EXISTS) {
      return false;
    }
    throw new Error(`the creation of _state was answered ${answer.status}: ${JSON.stringify(body)}`);
  }

  async #put(path: string, form: Record<string, string>): Promise<Response> {
    return fetch(`${this.#base}${path}`, { method: "PUT", body: new URLSearchParams(form), redirect: "manual" });
  }
}
