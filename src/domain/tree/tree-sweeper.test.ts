import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { TREE_HISTORY_EVENTS, TREE_SWEEP_BATCH } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { openLmdbEngine } from "../../engine/lmdb/lmdb-engine.ts";
import type { TreeEvent } from "./model.ts";
import { Tree } from "./tree.ts";
import { parsePath, ROOT } from "./tree-path.ts";

const START = 1_700_000_000_000;
const MANY = 1_000;

let now: number;
let directory: string;
let engine: Engine;
let trees: Tree[];

beforeEach(async () => {
  now = START;
  directory = await mkdtemp(join(tmpdir(), "muster-sweep-"));
  engine = await openLmdbEngine({ directory, clock: systemClock });
  trees = [];
});

afterEach(async () => {
  for (const tree of trees) await tree.close();
  await engine.close();
  await rm(directory, { recursive: true });
});

async function openTree(): Promise<Tree> {
  const tree = await Tree.open({ engine, clock: { now: () => now, monotonic: () => now }, log: silentLog });
  trees.push(tree);
  return tree;
}

/** Files whose times come in quite another order than their names and indices. */
async function fill(tree: Tree): Promise<void> {
  const writes = Array.from({ length: MANY }, (_, place) => {
    const expires = START + 1_000 + ((place * 7919) % MANY);
    const path = parsePath(`/d${place % 7}/n${place}`);
    const content = { kind: "file", value: utf8("x") } as const;
    return tree.write({ kind: "set", path, content, expiry: { kind: "at", expires }, refresh: false });
  });
  await Promise.all(writes);
}

async function events(tree: Tree, from: number, count: number): Promise<readonly TreeEvent[]> {
  const watch = await tree.watch({ path: ROOT, recursive: true, waitIndex: from });
  const seen: TreeEvent[] = [];
  for await (const event of watch) if (seen.push(event) === count) break;
  return seen;
}

describe("TreeSweeper", () => {
  it("lets all go that is due, each by a revision of its own, in the order of their times", async () => {
    const tree = await openTree();
    await fill(tree);
    const { revision } = await engine.status();
    now = START + 10_000;
    expect(await tree.sweep()).toBe(MANY);
    expect((await engine.status()).revision).toBe(revision + MANY);
    expect(MANY).toBeLessThan(TREE_HISTORY_EVENTS);
    const seen = await events(tree, revision + 1, MANY);
    expect(seen.map(({ action }) => action)).toEqual(Array(MANY).fill("expire"));
    expect(seen.map(({ index }) => index)).toEqual(Array.from({ length: MANY }, (_, place) => revision + 1 + place));
    expect(seen.map(({ prevNode }) => prevNode?.expires)).toEqual(
      Array.from({ length: MANY }, (_, place) => START + 1_000 + place),
    );
  });

  it("several may sweep one store: each node goes once", async () => {
    const tree = await openTree();
    await fill(tree);
    const others = [await openTree(), await openTree()];
    const { revision } = await engine.status();
    now = START + 10_000;
    const went = await Promise.all([tree, ...others].map((each) => each.sweep()));
    expect((await engine.status()).revision - revision).toBeGreaterThanOrEqual(MANY);
    const seen = await events(tree, revision + 1, MANY);
    expect(new Set(seen.map(({ node }) => node.path)).size).toBe(MANY);
    expect(went.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(MANY);
    const { node } = await tree.get(ROOT, { recursive: true, sorted: true });
    const left = node.kind === "directory" ? [...(node.nodes ?? [])] : [];
    expect(left.flatMap((each) => (each.kind === "directory" ? [...(each.nodes ?? [])] : []))).toEqual([]);
  });

  it("keeps what was given more time while a sweep was under way", async () => {
    const tree = await openTree();
    await fill(tree);
    now = START + 10_000;
    const sweeping = tree.sweep();
    const path = parsePath(`/d0/n${MANY - (MANY % 7) - 7}`);
    const content = { kind: "file", value: utf8("kept") } as const;
    const expiry = { kind: "at", expires: now + 60_000 } as const;
    await tree.write({ kind: "set", path, content, expiry, refresh: false });
    await sweeping;
    expect((await tree.get(path, { recursive: false, sorted: true })).node).toMatchObject({ expires: now + 60_000 });
    expect(TREE_SWEEP_BATCH).toBeLessThan(MANY);
  });

  it("lets a node go that was put anew for the time of one that is gone", async () => {
    const tree = await openTree();
    const set = (name: string, expires: number) => {
      const content = { kind: "file", value: utf8("x") } as const;
      return tree.write({
        kind: "set",
        path: parsePath(name),
        content,
        expiry: { kind: "at", expires },
        refresh: false,
      });
    };
    await set("/d/a", START + 1_000);
    await tree.write({ kind: "delete", path: parsePath("/d"), directory: true, recursive: true });
    now = START + 2_000;
    expect(await tree.sweep()).toBe(0);
    await set("/d/a", START + 1_000);
    await set("/b", START + 1_500);
    await tree.sweep();
    expect((await engine.range({ key: utf8("/"), end: null })).kvs).toEqual([]);
    const left = await engine.range({ key: Buffer.from([0]), end: null, keysOnly: true });
    expect(left.kvs.filter(({ key }) => key[1] === 0x65)).toEqual([]);
  });

  it("keeps files that v3 has put since, and those that it has put anew, and lets go what v2 has given a time again", async () => {
    const tree = await openTree();
    const write = (name: string, created = false) => {
      const content = { kind: "file", value: utf8("v2") } as const;
      const expiry = { kind: "at", expires: START + 1_000 } as const;
      const command = { path: parsePath(name), content, expiry };
      return tree.write(created ? { kind: "create", ...command } : { kind: "set", ...command, refresh: false });
    };
    const change = async (kind: "put" | "deleteRange", name: string) => {
      const key = utf8(name);
      const operation = kind === "put" ? { kind, request: { key, value: utf8("v3") } } : { kind, request: { key } };
      await engine.txn({ compares: [], success: [operation], failure: [] });
    };
    for (const name of ["/put", "/anew", "/again", "/updated"]) await write(name, true);
    await change("put", "/put");
    await change("deleteRange", "/anew");
    await change("put", "/anew");
    await change("put", "/again");
    const { index } = await write("/again");
    await write("/updated");
    now = START + 2_000;
    expect(await tree.sweep()).toBe(2);
    expect((await engine.range({ key: utf8("/"), end: null })).kvs.map(({ key }) => text(key))).toEqual([
      "/anew",
      "/put",
    ]);
    const gone = await events(tree, index + 2, 2);
    expect(
      gone.map(({ action, node, prevNode }) => ({ action, path: node.path, created: prevNode?.createdIndex })),
    ).toEqual([
      { action: "expire", path: "/again", created: index },
      { action: "expire", path: "/updated", created: index + 1 },
    ]);
    expect(
      (await engine.range({ key: Buffer.from([0]), end: null })).kvs.filter(({ key }) => key[1] === 0x65),
    ).toHaveLength(2);
  });

  it("forgets the times of very many nodes that went with their directory by few revisions", async () => {
    const tree = await openTree();
    await fill(tree);
    for (let place = 0; place < 7; place++) {
      await tree.write({ kind: "delete", path: parsePath(`/d${place}`), directory: true, recursive: true });
    }
    const { revision } = await engine.status();
    now = START + 10_000;
    expect(await tree.sweep()).toBe(0);
    expect((await engine.status()).revision).toBeLessThanOrEqual(revision + Math.ceil(MANY / TREE_SWEEP_BATCH));
    const left = await engine.range({ key: Buffer.from([0]), end: null, keysOnly: true });
    expect(left.kvs.filter(({ key }) => key[1] === 0x65).length).toBeLessThanOrEqual(TREE_SWEEP_BATCH);
  });
});
