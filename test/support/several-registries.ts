/** Several processes on one store, as far as clusters that form go, and nodes that boot through them. */
import { setTimeout as sleep } from "node:timers/promises";
import { prefixEnd, text, utf8 } from "../../src/base/bytes.ts";
import { isMusterError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { openKeyspace } from "../../src/domain/keyspace/keyspace.ts";
import type { Origin } from "../../src/domain/registry/origin.ts";
import { Registry } from "../../src/domain/registry/registry.ts";
import { sizePath, TOKEN_RANDOM_BYTES, type Token, tokenPath } from "../../src/domain/registry/token.ts";
import { v3MembersPath } from "../../src/domain/registry/v3-keys.ts";
import type { TreeNode, TreeStore, WriteCommand } from "../../src/domain/tree/model.ts";
import { Tree } from "../../src/domain/tree/tree.ts";
import { childPath } from "../../src/domain/tree/tree-path.ts";
import { type RemoteEngine, SharedStore } from "./shared-store.ts";

const HOUR_MS = 3_600_000;
const PLAIN = { recursive: false, sorted: false } as const;

/** How often a node begins anew before the test gives up on it. */
const MOST_BEGINNINGS = 200;

export interface RegistryProcess {
  readonly engine: RemoteEngine;
  readonly tree: Tree;
  readonly registry: Registry;
}

export interface Registries {
  readonly store: SharedStore;
  readonly processes: readonly RegistryProcess[];
  pick(): RegistryProcess;
}

/** What a node knows of a member. */
export interface Known {
  readonly id: string;
  readonly value: string;
  readonly index: number;
}

export async function withRegistries(seed: number, test: (world: Registries) => Promise<void>): Promise<void> {
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const store = new SharedStore({ seed, clock });
  const processes: RegistryProcess[] = [];
  let made = 0;
  const randomTokenBytes = () => {
    const bytes = Buffer.alloc(TOKEN_RANDOM_BYTES);
    bytes.writeUInt32BE(++made);
    return bytes;
  };
  try {
    for (let count = 0; count < 3; count++) {
      const engine = store.connect();
      const tree = await Tree.open({ engine, clock, log: silentLog });
      const registry = Registry.open({ engine, tree, clock, log: silentLog, tokenTtlMs: HOUR_MS, randomTokenBytes });
      processes.push({ engine, tree, registry });
    }
    const pick = () => {
      const process = processes[store.chance(processes.length)];
      if (process === undefined) throw new Error("there is no such process");
      return process;
    };
    await test({ store, processes, pick });
  } finally {
    for (const { engine, registry, tree } of processes) {
      engine.mend();
      await registry.close();
      await tree.close();
    }
    await store.engine.close();
  }
}

export function nodeOrigin(protocol: Origin["protocol"]): Origin {
  return { protocol, address: "10.0.0.1", host: "discovery:8087", connection: {}, scope: "public" };
}

export function registration(token: Token, id: string): WriteCommand {
  const content = { kind: "file", value: utf8(`${id}=http://${id}:2380`) } as const;
  return { kind: "create", path: childPath(tokenPath(token), id), content, expiry: { kind: "never" } };
}

/** A node that begins over, with any process, until it knows all members: in the order of their indices. */
export async function bootstrap(
  world: Registries,
  node: { readonly token: Token; readonly id: string; readonly protocol: Origin["protocol"] },
): Promise<readonly Known[]> {
  for (let beginning = 0; beginning < MOST_BEGINNINGS; beginning++) {
    const process = world.pick();
    try {
      const known = await (node.protocol === "v2" ? bootstrapByV2 : bootstrapByV3)(process, node);
      if (known !== undefined) return [...known.values()].sort((a, b) => a.index - b.index);
    } catch (error) {
      if (!isForNow(error)) throw error;
    }
    await sleep(5);
  }
  throw new Error(`the node ${node.id} began ${MOST_BEGINNINGS} times in vain`);
}

/** What a node takes for a reason to try again: 5xx, UNAVAILABLE, a connection that breaks. */
function isForNow(error: unknown): boolean {
  return (["storeUnavailable", "outcomeUnknown", "contention"] as const).some((code) => isMusterError(error, code));
}

interface Booting {
  readonly token: Token;
  readonly id: string;
}

/** As etcd 2.0 to 3.6; undefined where its wait was cut. */
async function bootstrapByV2(
  { registry }: RegistryProcess,
  { token, id }: Booting,
): Promise<Map<string, Known> | undefined> {
  const store = registry.storeFor(nodeOrigin("v2"));
  const size = await readSize(store, token);
  await store.get(tokenPath(token), PLAIN);
  await store.write(registration(token, id));
  const { node, index } = await store.get(tokenPath(token), PLAIN);
  const known = new Map<string, Known>();
  for (const member of childrenOf(node)) meet(known, member);
  let next = index + 1;
  while (known.size < size) {
    const watch = await store.watch({ path: tokenPath(token), recursive: true, waitIndex: next });
    const before = known.size;
    for await (const event of watch) {
      meet(known, event.node);
      next = event.node.modifiedIndex + 1;
      break;
    }
    watch.close();
    if (known.size === before) return undefined;
  }
  return known;
}

/** As etcd 3.6 and 3.7. */
async function bootstrapByV3(
  { registry, engine }: RegistryProcess,
  { token, id }: Booting,
): Promise<Map<string, Known> | undefined> {
  const origin = nodeOrigin("v3");
  const keyspace = registry.keyspaceFor(origin, openKeyspace(engine));
  const size = await readSize(registry.storeFor(origin), token);
  await registry.register({ token, id, value: utf8(`${id}=http://${id}:2380`) }, origin);
  const prefix = utf8(v3MembersPath(token));
  const members = { key: prefix, end: prefixEnd(prefix) };
  const { kvs, revision } = await keyspace.range(members);
  const known = new Map<string, Known>();
  const take = (kv: { readonly key: Uint8Array; readonly value: Uint8Array; readonly createRevision: number }) =>
    add(known, { id: text(kv.key.subarray(prefix.length + 1)), value: text(kv.value), index: kv.createRevision });
  for (const kv of kvs) take(kv);
  if (known.size >= size) return known;
  const watch = keyspace.watch({ ...members, startRevision: revision + 1 });
  try {
    for await (const message of watch) {
      if (message.kind !== "events") continue;
      for (const { kv } of message.events) take(kv);
      if (known.size >= size) return known;
    }
  } finally {
    watch.close();
  }
  return undefined;
}

async function readSize(store: TreeStore, token: Token): Promise<number> {
  const { node } = await store.get(sizePath(token), PLAIN);
  return node.kind === "file" ? Number(text(node.value)) : 0;
}

function childrenOf(node: TreeNode): readonly TreeNode[] {
  return node.kind === "directory" ? [...(node.nodes ?? [])] : [];
}

function meet(known: Map<string, Known>, node: TreeNode): void {
  if (node.kind !== "file") throw new Error(`a member is no file: ${node.path}`);
  add(known, { id: node.path.split("/").at(-1) ?? "", value: text(node.value), index: node.createdIndex });
}

/** "found duplicate name": an etcd that hears of a member twice dies. */
function add(known: Map<string, Known>, member: Known): void {
  if (known.has(member.id)) throw new Error(`told twice of the member ${member.id}`);
  known.set(member.id, member);
}
