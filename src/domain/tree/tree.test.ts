import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { TREE_EXACT_NAME_ATTEMPTS } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Expiry, TreeEvent, TreeNode, TreePath, WriteCommand } from "./model.ts";
import { Tree } from "./tree.ts";
import { childPath, parsePath, ROOT } from "./tree-path.ts";

const NEVER: Expiry = { kind: "never" };

let now: number;
let engine: Engine;
let tree: Tree;
let clock: Clock;

beforeEach(async () => {
  now = 1_700_000_000_000;
  clock = { now: () => now, monotonic: () => now };
  engine = openMemoryEngine({ clock });
  tree = await Tree.open({ engine, clock, log: silentLog });
});

afterEach(async () => {
  await tree.close();
  await engine.close();
});

function set(path: string, value: string, expiry: Expiry = NEVER): Promise<TreeEvent> {
  return tree.write({
    kind: "set",
    path: parsePath(path),
    content: { kind: "file", value: utf8(value) },
    expiry,
    refresh: false,
  });
}

function makeDirectory(path: string, expiry: Expiry = NEVER): Promise<TreeEvent> {
  return tree.write({ kind: "set", path: parsePath(path), content: { kind: "directory" }, expiry, refresh: false });
}

function create(path: string, value: string): WriteCommand {
  return { kind: "create", path: parsePath(path), content: { kind: "file", value: utf8(value) }, expiry: NEVER };
}

function remove(path: string): Promise<TreeEvent> {
  return tree.write({ kind: "delete", path: parsePath(path), directory: true, recursive: true });
}

function inSeconds(seconds: number): Expiry {
  return { kind: "at", expires: now + seconds * 1000 };
}

async function put(key: string, value: string): Promise<number> {
  const request = { key: utf8(key), value: utf8(value) };
  return (await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] })).revision;
}

async function deleteKey(key: string): Promise<void> {
  await engine.txn({ compares: [], success: [{ kind: "deleteRange", request: { key: utf8(key) } }], failure: [] });
}

async function node(path: string): Promise<TreeNode> {
  return (await tree.get(parsePath(path), { recursive: false, sorted: true })).node;
}

async function names(path: string, recursive = false): Promise<readonly string[]> {
  const { node: found } = await tree.get(parsePath(path), { recursive, sorted: true });
  return below(found);
}

function below(directory: TreeNode): readonly string[] {
  const children = directory.kind === "directory" ? [...(directory.nodes ?? [])] : [];
  return children.flatMap((child) => [child.path, ...below(child)]);
}

async function leftovers(): Promise<readonly string[]> {
  const { kvs } = await engine.range({ key: Buffer.from([0]), end: null });
  return kvs.map(({ key }) => text(key)).filter((key) => key !== "\0a");
}

describe("Tree and v3", () => {
  it("get: a key that v3 put is a file, and the directories on the way to it are implied, without indices", async () => {
    const revision = await put("/v3/deep/key", "value");
    expect(await node("/v3/deep/key")).toMatchObject({ kind: "file", createdIndex: revision, modifiedIndex: revision });
    expect(await node("/v3")).toMatchObject({ kind: "directory", createdIndex: 0, modifiedIndex: 0 });
    expect(await names("/", true)).toEqual(["/v3", "/v3/deep", "/v3/deep/key"]);
    expect(await names("/")).toEqual(["/v3"]);
    await expect(set("/v3/deep", "x")).rejects.toMatchObject({ code: "notFile" });
  });

  it("write: a v2 write below an implied directory makes it, and it outlives its keys", async () => {
    await put("/v3/key", "value");
    const { index } = await set("/v3/other", "x");
    expect(await node("/v3")).toMatchObject({ createdIndex: index });
    await deleteKey("/v3/key");
    await deleteKey("/v3/other");
    expect(await node("/v3")).toMatchObject({ kind: "directory" });
    expect(await names("/v3")).toEqual([]);
  });

  it("write: a file of v3's stands in the way as one of v2's does", async () => {
    await put("/file", "value");
    await put("/file/below", "value");
    await expect(set("/file/x", "x")).rejects.toMatchObject({ code: "notDirectory", details: { cause: "/file" } });
    await expect(node("/file/below")).rejects.toMatchObject({ code: "notDirectory", details: { cause: "/file" } });
    expect(await names("/", true)).toEqual(["/file"]);
  });

  it.each([
    ["keeps its createdIndex", 1],
    ["makes it anew where v2 has replaced it", 2],
  ])("get: a v3 put over a v2 file ends its time to live and %s", async (_what, sets) => {
    if (sets === 2) await set("/k", "1");
    const { index } = await set("/k", "2", inSeconds(5));
    const revision = await put("/k", "3");
    now += 6000;
    await tree.sweep();
    const found = await node("/k");
    expect(found).toMatchObject({ createdIndex: sets === 1 ? index : revision, modifiedIndex: revision });
    expect(found.expires).toBeUndefined();
    expect((await engine.status()).revision).toBe(revision);
    await set("/next", "x", inSeconds(1));
    now += 2000;
    await tree.sweep();
    expect((await leftovers()).filter((key) => key.startsWith("\0e"))).toEqual([]);
    expect((await engine.status()).revision).toBe(revision + 2);
  });

  it("get: a v3 delete and put start a file afresh", async () => {
    await set("/k", "1");
    await set("/k", "2", inSeconds(5));
    await deleteKey("/k");
    const revision = await put("/k", "3");
    expect(await node("/k")).toMatchObject({ createdIndex: revision, modifiedIndex: revision });
  });

  it("get: a directory of v2's goes before a key that v3 put at its path", async () => {
    await set("/d/k", "1");
    await put("/d", "value");
    expect(await node("/d")).toMatchObject({ kind: "directory" });
    expect(await names("/", true)).toEqual(["/d", "/d/k"]);
    await remove("/d");
    expect(await names("/", true)).toEqual([]);
  });
});

describe("Tree.write", () => {
  it("leaves nothing behind of what it deletes", async () => {
    await set("/d/a", "1", inSeconds(5));
    await set("/d/a", "2", inSeconds(6));
    await makeDirectory("/d/e", inSeconds(7));
    await tree.write({ kind: "delete", path: parsePath("/d/a"), directory: false, recursive: false });
    await tree.write({ kind: "delete", path: parsePath("/d/e"), directory: true, recursive: false });
    await remove("/d");
    expect(await leftovers()).toEqual([]);
  });

  it("deletes a directory of a thousand keys in one small transaction", async () => {
    const puts = Array.from({ length: 100 }, (_none, place) => place);
    for (let part = 0; part < 10; part++) {
      await engine.txn({
        compares: [],
        success: puts.map((place) => ({
          kind: "put",
          request: { key: utf8(`/d/${part}/${place}`), value: utf8("x") },
        })),
        failure: [],
      });
    }
    const { revision } = await engine.status();
    const event = await remove("/d");
    expect(event.index).toBe(revision + 1);
    await expect(node("/d")).rejects.toMatchObject({ code: "nodeNotFound" });
  });

  it("makes directories deeper than a transaction has operations", async () => {
    const path = Array.from({ length: 300 }, () => "d").join("/");
    await set(path, "deep");
    expect(await node(path)).toMatchObject({ kind: "file" });
    await expect(set(`${path}/x`, "y")).rejects.toMatchObject({ code: "notDirectory", details: { cause: `/${path}` } });
    await remove("/d");
    expect(await leftovers()).toEqual([]);
  });

  it("create: of many at once for one name one wins", async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 30 }, (_none, place) => tree.write(create("/k", `${place}`))),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of all) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "nodeExists" });
    }
  });

  it("compareAndSwap: of many at once each that wins has seen the one before", async () => {
    await set("/counter", "0");
    const raise = async (): Promise<void> => {
      const found = await node("/counter");
      const before = found.kind === "file" ? found.value : utf8("");
      const value = utf8(String(Number(text(before)) + 1));
      const condition = { prevValue: before };
      const path = parsePath("/counter");
      try {
        await tree.write({ kind: "compareAndSwap", path, value, condition, expiry: NEVER, refresh: false });
      } catch (error) {
        expect(error).toMatchObject({ code: "compareFailed" });
        return raise();
      }
    };
    await Promise.all(Array.from({ length: 20 }, raise));
    const found = await node("/counter");
    expect(found.kind === "file" ? text(found.value) : found).toBe("20");
  });

  it("createInOrder: names of many at once are unique and rise with the order of their making", async () => {
    const path = parsePath("/queue");
    const post = (place: number) =>
      tree.write({ kind: "createInOrder", path, content: { kind: "file", value: utf8(`${place}`) }, expiry: NEVER });
    const events = await Promise.all(
      Array.from({ length: 40 }, async (_none, place) => {
        if (place % 3 === 0) await set(`/noise/${place}`, "x");
        return post(place);
      }),
    );
    const inOrder = [...events].sort((a, b) => a.index - b.index).map((event) => event.node.path);
    expect(inOrder).toEqual([...new Set(inOrder)].sort());
    for (const event of events) expect(event.node.path).toMatch(/^\/queue\/[0-9]{20}$/);
  });

  it("createInOrder: alone, the name is the createdIndex; a name that somebody chose is passed over", async () => {
    const path = parsePath("/queue");
    const command = { kind: "createInOrder", path, content: { kind: "file", value: utf8("") }, expiry: NEVER } as const;
    const first = await tree.write(command);
    expect(first.node.path).toBe(childPath(path, String(first.index).padStart(20, "0")));
    await set(`/queue/${String(first.index + 2).padStart(20, "0")}`, "taken");
    const second = await tree.write(command);
    expect(second.node.path > first.node.path).toBe(true);
  });

  it("createInOrder: where others keep writing, the name may be older than the index, but the order holds", async () => {
    const other = await Tree.open({ engine, clock, log: silentLog });
    const path = parsePath("/queue");
    const command = { kind: "createInOrder", path, content: { kind: "file", value: utf8("") }, expiry: NEVER } as const;
    let last: TreeEvent | undefined;
    let tries = 0;
    const event = await tree.write(command, async () => {
      tries++;
      if (tries <= TREE_EXACT_NAME_ATTEMPTS + 1) last = await other.write(command);
      else await put("/noise", "x");
      return { compares: [], operations: [] };
    });
    expect(tries).toBe(TREE_EXACT_NAME_ATTEMPTS + 2);
    expect(event.node.path > (last?.node.path ?? "")).toBe(true);
    expect(event.node.path < childPath(path, String(event.index).padStart(20, "0"))).toBe(true);
    await other.close();
  });

  it("asks the rider at every try, with what the try would do, and commits its changes in the same revision", async () => {
    const planned: TreeEvent[] = [];
    const event = await tree.write(create("/k", "1"), async (plan) => {
      planned.push(plan);
      if (planned.length === 1) await put("/v3", "in the way");
      const { revision } = await engine.status();
      const key = utf8("\0rider");
      return {
        compares: [{ key: utf8("/v3"), target: "version", result: "equal", expected: planned.length - 1 }],
        operations: [{ kind: "put", request: { key, value: utf8(String(revision)) } }],
      };
    });
    expect(planned).toHaveLength(2);
    expect(planned[1]).toEqual(event);
    const { kvs } = await engine.range({ key: utf8("\0rider") });
    expect(kvs[0]?.modRevision).toBe(event.index);
  });

  it("is called off by the rider", async () => {
    const riding = tree.write(create("/k", "1"), async () => {
      throw new Error("not now");
    });
    await expect(riding).rejects.toThrow("not now");
    await expect(node("/k")).rejects.toMatchObject({ code: "nodeNotFound" });
  });

  it("gives up with contention where others never let it through", async () => {
    const path = parsePath("/k");
    const rider = async () => {
      await put("/k", "in the way");
      return { compares: [], operations: [] };
    };
    const content = { kind: "file", value: utf8("x") } as const;
    const writing = tree.write({ kind: "set", path, content, expiry: NEVER, refresh: false }, rider);
    await expect(writing).rejects.toMatchObject({ code: "contention" });
  });
});

describe("Tree.sweep", () => {
  it("lets nodes go in the order of their times, each in a revision of its own, directories with all below", async () => {
    await set("/d/later", "x", inSeconds(9));
    await makeDirectory("/gone", inSeconds(3));
    await set("/gone/with/it", "x", inSeconds(4));
    const { index } = await set("/d/first", "x", inSeconds(2));
    const watch = await tree.watch({ path: ROOT, recursive: true });
    now += 5000;
    expect(await names("/", true)).toEqual(["/d", "/d/later"]);
    expect(await tree.sweep()).toBe(2);
    const told: TreeEvent[] = [];
    for await (const event of watch) {
      told.push(event);
      if (told.length === 2) break;
    }
    expect(told.map(({ action, node: { path }, index: at }) => [action, path, at])).toEqual([
      ["expire", "/d/first", index + 1],
      ["expire", "/gone", index + 2],
    ]);
    now += 5000;
    expect(await tree.sweep()).toBe(1);
    // What was left of the node that went with its directory goes along, by no revision of its own.
    expect((await leftovers()).filter((key) => key.startsWith("\0e"))).toEqual([]);
    expect((await engine.status()).revision).toBe(index + 3);
  });

  it("may be done by several at once", async () => {
    const other = await Tree.open({ engine, clock, log: silentLog });
    for (let place = 0; place < 20; place++) await set(`/d/${place}`, "x", inSeconds(1));
    const { revision } = await engine.status();
    now += 2000;
    const [mine, its] = await Promise.all([tree.sweep(), other.sweep()]);
    expect(mine + its).toBe(20);
    const after = await engine.status();
    expect(after.revision).toBe(revision + 20);
    await other.close();
  });

  it("happens by itself when the time has come", async () => {
    const real = await Tree.open({ engine, clock: { now: Date.now, monotonic: performance.now }, log: silentLog });
    const path = parsePath("/soon");
    const watch = await real.watch({ path, recursive: false });
    const expiry: Expiry = { kind: "at", expires: Date.now() + 30 };
    await real.write({ kind: "create", path, content: { kind: "file", value: utf8("x") }, expiry });
    const actions: string[] = [];
    for await (const { action } of watch) {
      actions.push(action);
      if (action === "expire") break;
    }
    expect(actions).toEqual(["create", "expire"]);
    await real.close();
  });

  it("a tree that was opened later knows what is due", async () => {
    await set("/k", "x", inSeconds(1));
    await tree.close();
    now += 2000;
    tree = await Tree.open({ engine, clock, log: silentLog });
    await expect(node("/k")).rejects.toMatchObject({ code: "nodeNotFound" });
    await tree.sweep();
    expect(await leftovers()).toEqual([]);
  });
});

describe("Tree.get", () => {
  it("a directory costs its children, not what is below them", async () => {
    for (const child of ["a", "b", "c"]) {
      for (let part = 0; part < 5; part++) {
        const puts = Array.from({ length: 100 }, (_none, place) => `/top/${child}/${part}/${place}`);
        const success = puts.map((key) => ({ kind: "put", request: { key: utf8(key), value: utf8("x") } }) as const);
        await engine.txn({ compares: [], success, failure: [] });
      }
    }
    let read = 0;
    const counting = new Proxy(engine, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (name !== "range") return typeof member === "function" ? member.bind(target) : member;
        return async (request: Parameters<Engine["range"]>[0]) => {
          const result = await engine.range(request);
          read += result.kvs.length;
          return result;
        };
      },
    });
    const counted = await Tree.open({ engine: counting, clock, log: silentLog });
    const path: TreePath = parsePath("/top");
    const { node: top } = await counted.get(path, { recursive: false, sorted: false });
    expect(below(top)).toEqual(["/top/a", "/top/b", "/top/c"]);
    expect(read).toBeLessThan(100);
    await counted.close();
  });

  it("lists names in the order of their bytes", async () => {
    const order = ["/d/-", "/d/A", "/d/a", "/d/a-b", "/d/\uff5e", "/d/\u{1f600}"];
    for (const path of [...order].reverse()) await set(path, "x");
    expect(await names("/d")).toEqual(order);
  });
});
