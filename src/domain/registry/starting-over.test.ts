import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { START_OVER_MS, TOLD_GRACE_MS } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { TreeEvent } from "../tree/model.ts";
import { Tree } from "../tree/tree.ts";
import { childPath } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { Registry } from "./registry.ts";
import { type Token, tokenPath } from "./token.ts";

let now: number;
let engine: Engine;
let tree: Tree;
let registry: Registry;
const clock: Clock = { now: () => now, monotonic: () => now };

async function open(): Promise<void> {
  tree = await Tree.open({ engine, clock, log: silentLog });
  const randomTokenBytes = () => Buffer.alloc(12, 1);
  registry = Registry.open({ engine, tree, clock, log: silentLog, tokenTtlMs: 0, randomTokenBytes });
}

async function close(): Promise<void> {
  await registry.close();
  await tree.close();
}

beforeEach(async () => {
  now = 1_700_000_000_000;
  engine = openMemoryEngine({ clock });
  await open();
});

afterEach(async () => {
  await close();
  await engine.close();
});

/** A node on a connection of its own, which does what etcd does. */
class Node {
  readonly #store;
  readonly #token: Token;
  readonly #id: string;

  constructor(token: Token, id: string, connection: object = {}) {
    const origin: Origin = { protocol: "v2", address: "10.0.0.1", host: "muster:8087", connection, scope: "public" };
    this.#store = registry.storeFor(origin);
    this.#token = token;
    this.#id = id;
  }

  list(): Promise<unknown> {
    return this.#store.get(tokenPath(this.#token), { recursive: false, sorted: false });
  }

  register(value = this.#id): Promise<TreeEvent> {
    const path = childPath(tokenPath(this.#token), this.#id);
    const content = { kind: "file", value: utf8(value) } as const;
    return this.#store.write({ kind: "create", path, content, expiry: { kind: "never" } });
  }

  async begin(value?: string): Promise<TreeEvent> {
    await this.list();
    return this.register(value);
  }

  /** Waits for the next registration. */
  async wait(): Promise<TreeEvent> {
    const watch = await this.#store.watch({ path: tokenPath(this.#token), recursive: true });
    for await (const event of watch) return event;
    throw new Error("the wait ended");
  }
}

async function tokenOf(size: number): Promise<Token> {
  return (await registry.createToken(size)).token;
}

function told({ action, node, prevNode }: TreeEvent): unknown {
  return { action, path: node.path, created: node.createdIndex, modified: node.modifiedIndex, prevNode };
}

const REFUSED = { code: "nodeExists" };

describe("StartingOver: a token that has been complete", () => {
  it("takes back a node that died while it waited: its first node, nothing written", async () => {
    const token = await tokenOf(2);
    const first = await new Node(token, "a").begin();
    await new Node(token, "b").begin();
    const { revision } = await engine.status();
    expect(told(await new Node(token, "a").begin())).toEqual(told(first));
    expect((await engine.status()).revision).toBe(revision);
  });

  it("takes back the node that completed it, which never got its answer, also after a restart", async () => {
    const token = await tokenOf(2);
    await new Node(token, "a").begin();
    const last = await new Node(token, "b").begin();
    await close();
    await open();
    expect(told(await new Node(token, "b").begin())).toEqual(told(last));
  });

  it("takes a node back again and again, while it gets no further", async () => {
    const token = await tokenOf(1);
    await new Node(token, "a").begin();
    for (let round = 0; round < 3; round++) expect((await new Node(token, "a").begin()).action).toBe("create");
  });

  it("refuses a mere repetition", async () => {
    const token = await tokenOf(1);
    const node = new Node(token, "a");
    await node.begin();
    await expect(node.register()).rejects.toMatchObject(REFUSED);
    await expect(new Node(token, "a").register()).rejects.toMatchObject(REFUSED);
  });

  it("refuses another value", async () => {
    const token = await tokenOf(1);
    await new Node(token, "a").begin();
    await expect(new Node(token, "a").begin("b=u2")).rejects.toMatchObject(REFUSED);
  });

  it.each([
    ["read the complete list", (node: Node) => node.list()],
    ["was told of the last member", (_: Node, waited: Promise<unknown>) => waited],
  ])("refuses a member that %s a while ago", async (_, learn) => {
    const token = await tokenOf(2);
    const node = new Node(token, "a");
    await node.begin();
    const waited = node.wait();
    await new Node(token, "b").begin();
    await learn(node, waited);
    now += TOLD_GRACE_MS;
    expect((await new Node(token, "a").begin()).action).toBe("create");
    now += 1;
    await expect(new Node(token, "a").begin()).rejects.toMatchObject(REFUSED);
  });

  it("takes back a member that was told of others only, until it has been complete for long", async () => {
    const token = await tokenOf(3);
    const node = new Node(token, "a");
    await node.begin();
    const waited = node.wait();
    await new Node(token, "b").begin();
    expect((await waited).node.path).toBe(childPath(tokenPath(token), "b"));
    now += START_OVER_MS;
    await new Node(token, "c").begin();
    now += START_OVER_MS;
    expect((await new Node(token, "a").begin()).action).toBe("create");
    now += 1;
    await expect(new Node(token, "a").begin()).rejects.toMatchObject(REFUSED);
  });

  it("refuses all where the member that completed it is gone", async () => {
    const token = await tokenOf(2);
    await new Node(token, "a").begin();
    await new Node(token, "b").begin();
    const operator: Origin = { protocol: "v2", address: "::1", host: undefined, connection: {}, scope: "client" };
    const path = childPath(tokenPath(token), "b");
    await registry.storeFor(operator).write({ kind: "delete", path, directory: false, recursive: false });
    await expect(new Node(token, "a").begin()).rejects.toMatchObject(REFUSED);
  });

  it("counts all members of a shared connection as told, for it cannot tell them apart", async () => {
    const token = await tokenOf(2);
    const proxy = {};
    for (const id of ["a", "b"]) await new Node(token, id, proxy).begin();
    await new Node(token, "b", proxy).list();
    now += TOLD_GRACE_MS + 1;
    await expect(new Node(token, "a").begin()).rejects.toMatchObject(REFUSED);
  });
});
