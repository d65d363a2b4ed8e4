import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Bytes, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openLmdbEngine } from "../../engine/lmdb/lmdb-engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { KeyValue, Operation } from "../../engine/model.ts";
import type { TreeEvent, TreeNode } from "./model.ts";
import { Tree } from "./tree.ts";
import { directoryKey, fileRecordKey } from "./tree-layout.ts";
import { parsePath, ROOT } from "./tree-path.ts";

const LEASE = 7n;

let engine: Engine;
let tree: Tree;

interface Keyspace {
  readonly name: string;
  open(): Promise<Engine>;
  remove(): Promise<void>;
}

function lmdb(): Keyspace {
  let directory: string;
  return {
    name: "lmdb",
    open: async () => {
      directory = await mkdtemp(join(tmpdir(), "muster-keyspace-"));
      return openLmdbEngine({ directory, clock: systemClock });
    },
    remove: () => rm(directory, { recursive: true }),
  };
}

const memory: Keyspace = {
  name: "memory",
  open: () => Promise.resolve(openMemoryEngine()),
  remove: () => Promise.resolve(),
};

function use({ open, remove }: Keyspace): void {
  beforeEach(async () => {
    engine = await open();
    tree = await Tree.open({ engine, clock: systemClock, log: silentLog });
  });
  afterEach(async () => {
    await tree.close();
    await engine.close();
    await remove();
  });
}

// What v3 does.

async function commit(...success: readonly Operation[]): Promise<number> {
  return (await engine.txn({ compares: [], success, failure: [] })).revision;
}

function putOf(key: string | Bytes, value = "v3", lease?: bigint): Operation {
  const request = { key: typeof key === "string" ? utf8(key) : key, value: utf8(value) };
  return { kind: "put", request: lease === undefined ? request : { ...request, lease } };
}

async function put(...keys: readonly (string | Bytes)[]): Promise<number> {
  return commit(...keys.map((key) => putOf(key)));
}

async function drop(key: string): Promise<number> {
  return commit({ kind: "deleteRange", request: { key: utf8(key) } });
}

async function keyAt(key: string | Bytes): Promise<KeyValue | undefined> {
  const { kvs } = await engine.range({ key: typeof key === "string" ? utf8(key) : key });
  return kvs[0];
}

// What v2 does.

function set(path: string, value: Bytes | string = "v2"): Promise<TreeEvent> {
  const content = { kind: "file", value: typeof value === "string" ? utf8(value) : value } as const;
  return tree.write({ kind: "set", path: parsePath(path), content, expiry: { kind: "never" }, refresh: false });
}

function update(path: string): Promise<TreeEvent> {
  const content = { kind: "file", value: utf8("v2 again") } as const;
  return tree.write({ kind: "update", path: parsePath(path), content, expiry: { kind: "never" }, refresh: false });
}

function makeDirectory(path: string): Promise<TreeEvent> {
  const content = { kind: "directory" } as const;
  return tree.write({ kind: "create", path: parsePath(path), content, expiry: { kind: "never" } });
}

function remove(path: string, options: { readonly recursive: boolean } = { recursive: false }): Promise<TreeEvent> {
  return tree.write({ kind: "delete", path: parsePath(path), directory: true, ...options });
}

async function node(path: string): Promise<TreeNode> {
  return (await tree.get(parsePath(path), { recursive: false, sorted: true })).node;
}

function indicesOf({ createdIndex, modifiedIndex }: TreeNode): readonly number[] {
  return [createdIndex, modifiedIndex];
}

async function indices(path: string): Promise<readonly number[]> {
  return indicesOf(await node(path));
}

type Shown = string | { readonly [path: string]: readonly Shown[] };

/** What a directory holds: a file as its path, a directory as its path and what is in it. */
async function listed(path: string, recursive = true): Promise<readonly Shown[]> {
  const { node: found } = await tree.get(parsePath(path), { recursive, sorted: true });
  return shown(found);
}

function shown(directory: TreeNode): readonly Shown[] {
  const nodes = directory.kind === "directory" ? [...(directory.nodes ?? [])] : [];
  return nodes.map((each) => (each.kind === "file" ? each.path : { [each.path]: shown(each) }));
}

/** What a watch on everything is told of since a revision. */
async function told(from: number): Promise<readonly string[]> {
  const { index } = await set("/told");
  const seen: string[] = [];
  for await (const event of await tree.watch({ path: ROOT, recursive: true, waitIndex: from })) {
    if (event.index === index) break;
    seen.push(`${event.action} ${event.node.path}`);
  }
  return seen;
}

describe.each([memory, lmdb()])("one keyspace, on $name", (keyspace) => {
  use(keyspace);

  it("a v2 file is the v3 key of its path with its bytes, and the other way round", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    for (const [path, value] of [
      ["/a/b", bytes],
      ["/ä/\u{1f600} %", utf8("x")],
      ["/empty", utf8("")],
    ] as const) {
      const { index } = await set(path, value);
      const kv = await keyAt(path);
      expect(Buffer.from(kv?.value ?? "none")).toEqual(Buffer.from(value));
      expect(kv).toMatchObject({ createRevision: index, modRevision: index, version: 1 });
      const again = await put(path);
      expect(await node(path)).toMatchObject({ kind: "file", path, createdIndex: index, modifiedIndex: again });
      await drop(path);
      await expect(node(path)).rejects.toMatchObject({ code: "nodeNotFound" });
    }
    await put("/by-v3");
    await remove("/by-v3");
    expect(await keyAt("/by-v3")).toBeUndefined();
  });

  it("a v3 put over a file makes it anew from the set on that replaced it, until an update keeps when it was made", async () => {
    const { index: made } = await set("/f");
    await put("/f");
    expect(await node("/f")).toMatchObject({ createdIndex: made });
    const { index: replaced, prevNode } = await set("/f");
    expect(prevNode).toMatchObject({ createdIndex: made, modifiedIndex: made + 1 });
    expect(await node("/f")).toMatchObject({ createdIndex: replaced });
    const again = await put("/f");
    expect(await node("/f")).toMatchObject({ createdIndex: again, modifiedIndex: again });
    const { node: kept } = await update("/f");
    expect(kept).toMatchObject({ createdIndex: again, modifiedIndex: again + 1 });
    const last = await put("/f");
    expect(await node("/f")).toMatchObject({ createdIndex: again, modifiedIndex: last });
    await drop("/f");
    const anew = await put("/f");
    await put("/f");
    expect(await node("/f")).toMatchObject({ createdIndex: anew });
  });

  it("a set over a set writes no side record, and one over an update says again that it makes the file anew", async () => {
    const record = () => keyAt(fileRecordKey(parsePath("/f")));
    await set("/f");
    expect(await record()).toBeUndefined();
    const { index } = await set("/f");
    expect(await record()).toMatchObject({ modRevision: index });
    await set("/f");
    await put("/f");
    const { node: newest } = await set("/f");
    expect(await record()).toMatchObject({ modRevision: index });
    expect(await indices("/f")).toEqual(indicesOf(newest));
    const { node: updated } = await update("/f");
    expect(updated).toMatchObject({ createdIndex: newest.createdIndex });
    expect(await indices("/f")).toEqual(indicesOf(updated));
    expect((await update("/f")).node).toMatchObject({ createdIndex: newest.createdIndex });
    expect(await record()).toMatchObject({ modRevision: updated.modifiedIndex });
    const { node: replaced } = await set("/f");
    expect(await indices("/f")).toEqual(indicesOf(replaced));
    expect(replaced.createdIndex).toBe(replaced.modifiedIndex);
  });

  it("a file that an earlier Muster replaced was made by the write of its side record", async () => {
    const record = { kind: "put", request: { key: fileRecordKey(parsePath("/f")), value: utf8("{}") } } as const;
    await put("/f");
    const index = await commit(putOf("/f"), record);
    const newest = await put("/f");
    expect(await node("/f")).toMatchObject({ createdIndex: index, modifiedIndex: newest });
    expect((await update("/f")).node).toMatchObject({ createdIndex: index });
    const { node: replaced, prevNode } = await set("/f");
    expect(prevNode).toMatchObject({ createdIndex: index });
    expect(await indices("/f")).toEqual(indicesOf(replaced));
  });

  it("directories that only v3's keys imply are listed, without indices, for as long as there are such keys", async () => {
    await put("/a/b/c", "/a/b/d");
    expect(await listed("/")).toEqual([{ "/a": [{ "/a/b": ["/a/b/c", "/a/b/d"] }] }]);
    expect(await listed("/", false)).toEqual([{ "/a": [] }]);
    expect(await node("/a/b")).toMatchObject({ kind: "directory", createdIndex: 0, modifiedIndex: 0 });
    await drop("/a/b/c");
    await drop("/a/b/d");
    expect(await listed("/")).toEqual([]);
    await expect(node("/a")).rejects.toMatchObject({ code: "nodeNotFound" });
  });

  it("a directory that holds hidden keys alone is one, with nothing in it", async () => {
    await put(...Array.from({ length: 60 }, (_, place) => `/a/x/_h${place}`), "/a/_y/z", "/a/w/v/_h/u");
    for (const recursive of [true, false]) {
      expect(await listed("/a", recursive)).toEqual([{ "/a/w": recursive ? [{ "/a/w/v": [] }] : [] }, { "/a/x": [] }]);
    }
    await expect(remove("/a/x")).rejects.toMatchObject({ code: "directoryNotEmpty" });
    expect(await listed("/a/_y")).toEqual(["/a/_y/z"]);
  });

  it("where /a and /a/b are both keys, /a is a file, and nothing below it is there", async () => {
    await put("/a", "/a/b", "/a/c/d", "/a-", "/aa");
    for (const recursive of [true, false]) expect(await listed("/", recursive)).toEqual(["/a", "/a-", "/aa"]);
    expect(await node("/a")).toMatchObject({ kind: "file" });
    for (const path of ["/a/b", "/a/c", "/a/nothing"]) {
      await expect(node(path)).rejects.toMatchObject({ code: "notDirectory", details: { path: "/a" } });
      await expect(set(path)).rejects.toMatchObject({ code: "notDirectory", details: { path: "/a" } });
      await expect(remove(path)).rejects.toMatchObject({ code: "notDirectory", details: { path: "/a" } });
    }
    await set("/a", "changed");
    expect(await keyAt("/a/b")).toBeDefined();
    await remove("/a");
    expect(await listed("/")).toEqual([{ "/a": ["/a/b", { "/a/c": ["/a/c/d"] }] }, "/a-", "/aa"]);
  });

  it("where v3 puts a key at a directory of v2's, the directory stays, and takes the key along when it is deleted with all in it", async () => {
    await makeDirectory("/a");
    await put("/a");
    await set("/a/b");
    expect(await listed("/")).toEqual([{ "/a": ["/a/b"] }]);
    await remove("/a", { recursive: true });
    expect(await keyAt("/a")).toBeUndefined();
    expect(await listed("/")).toEqual([]);
  });

  it("where such a directory is deleted alone, the key that was behind it is the file", async () => {
    await makeDirectory("/a");
    await put("/a");
    await remove("/a");
    expect(await listed("/")).toEqual(["/a"]);
  });

  it("watches are told of every key that v2 can name, also of what stands behind a file or a directory", async () => {
    const from = await put("/a");
    await put("/a/b");
    await drop("/a/b");
    await makeDirectory("/d");
    await put("/d");
    expect(await told(from)).toEqual(["set /a", "set /a/b", "delete /a/b", "create /d", "set /d"]);
  });

  it("a key with a lease is a file without a time to live; it goes with the lease, which is told as delete", async () => {
    await engine.grantLease({ id: LEASE, ttl: 60 });
    const from = await commit(putOf("/a/leased", "x", LEASE), putOf("/a/other", "x", LEASE));
    const file = await node("/a/leased");
    expect(file).toMatchObject({ kind: "file", modifiedIndex: from });
    expect(file).not.toHaveProperty("expires");
    expect(await listed("/a")).toEqual(["/a/leased", "/a/other"]);
    await engine.revokeLease(LEASE);
    await expect(node("/a")).rejects.toMatchObject({ code: "nodeNotFound" });
    expect([...(await told(from))].sort()).toEqual([
      "delete /a/leased",
      "delete /a/other",
      "set /a/leased",
      "set /a/other",
    ]);
  });

  it("a v2 write frees a key of its lease, as a v3 put without one does", async () => {
    await engine.grantLease({ id: LEASE, ttl: 60 });
    await commit(putOf("/a/leased", "x", LEASE), putOf("/a/other", "x", LEASE));
    await set("/a/leased");
    await engine.revokeLease(LEASE);
    expect(await listed("/")).toEqual([{ "/a": ["/a/leased"] }]);
  });

  it("keys with // or a slash at the end, with . or .., or that are no UTF-8 are no files; they make the directories before that", async () => {
    const from = await put(
      ...["/a//b", "/c/", "//d", "/e/./f", "/g/h/../i", "/", "/k/."],
      ...[Buffer.from("/l/m/\xff/n", "latin1"), Buffer.from("/o/p\xff", "latin1")],
    );
    const directories = [{ "/a": [] }, { "/c": [] }, { "/e": [] }, { "/g": [{ "/g/h": [] }] }, { "/k": [] }];
    expect(await listed("/")).toEqual([...directories, { "/l": [{ "/l/m": [] }] }, { "/o": [] }]);
    for (const path of ["/a", "/c", "/e", "/g", "/g/h", "/k", "/l", "/l/m", "/o"]) {
      expect(await node(path)).toMatchObject({ kind: "directory", createdIndex: 0 });
    }
    expect(await told(from)).toEqual([]);
  });

  it("such keys keep a directory from being deleted alone, and go when it is deleted with all in it", async () => {
    await put("/a//b", "/c/");
    // v2 cleans a path: this is /a/b, and beside /a//b.
    await set("/a//b");
    expect(await listed("/")).toEqual([{ "/a": ["/a/b"] }, { "/c": [] }]);
    await expect(set("/c")).rejects.toMatchObject({ code: "notFile" });
    await expect(remove("/c")).rejects.toMatchObject({ code: "directoryNotEmpty" });
    for (const path of ["/a", "/c"]) await remove(path, { recursive: true });
    expect([await keyAt("/a//b"), await keyAt("/c/"), await keyAt("/a/b")]).toEqual([undefined, undefined, undefined]);
  });

  it("keys that do not begin with a slash are not there for v2, but each write of one takes an index", async () => {
    const { index } = await set("/a");
    await put("a", "a/b", "zz", "\u{1f600}", Buffer.from([0xff]), ".", " /a");
    expect(await listed("/")).toEqual(["/a"]);
    expect((await tree.get(ROOT, { recursive: false, sorted: true })).index).toBe(index + 1);
    expect(await told(index + 1)).toEqual([]);
    await remove("/a");
    expect(await keyAt("a/b")).toBeDefined();
  });
});

describe("listing a directory", () => {
  use(lmdb());

  /** A directory /few with three children: two directories of v2's and one that is implied, with so many keys in them. */
  async function fill(descendants: number): Promise<void> {
    for (const path of ["/few", "/few/a", "/few/b", "/few/b/deep"]) await makeDirectory(path);
    const each = descendants / 4;
    const operations = Array.from({ length: each }, (_, place) => [
      putOf(`/few/a/n${place}`),
      putOf(directoryKey(parsePath(`/few/a/d${place}`)), "{}"),
      putOf(`/few/b/deep/n${place}`),
      putOf(`/few/c/implied/n${place}`),
    ]).flat();
    const writes: Promise<unknown>[] = [];
    for (let at = 0; at < operations.length; at += 100) writes.push(commit(...operations.slice(at, at + 100)));
    await Promise.all(writes);
  }

  async function cost(): Promise<{ readonly ranges: number; readonly keys: number }> {
    const range = vi.spyOn(engine, "range");
    expect(await listed("/few", false)).toEqual([{ "/few/a": [] }, { "/few/b": [] }, { "/few/c": [] }]);
    const read = await Promise.all(range.mock.results.map(({ value }) => value));
    range.mockRestore();
    return { ranges: read.length, keys: read.reduce((sum, { kvs }) => sum + kvs.length, 0) };
  }

  it("costs its children, not its descendants", async () => {
    await fill(1_000);
    const few = await cost();
    await remove("/few", { recursive: true });
    await fill(20_000);
    expect(await cost()).toEqual(few);
    expect(few.keys).toBeLessThan(200);
    expect(few.ranges).toBeLessThan(20);
  });
});
