import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Content, TreeStore, WriteCommand } from "./model.ts";
import { StoreCounters, type StoreCounts } from "./store-counters.ts";
import { Tree } from "./tree.ts";
import { parsePath } from "./tree-path.ts";

let engine: Engine;
let tree: Tree;
let counters: StoreCounters;
let store: TreeStore;

beforeEach(async () => {
  engine = openMemoryEngine();
  counters = new StoreCounters();
  tree = await Tree.open({
    engine,
    clock: systemClock,
    log: silentLog,
    onExpired: () => counters.count("expireCount"),
  });
  store = counters.counted(tree);
});

afterEach(async () => {
  await tree.close();
  await engine.close();
});

const never = { kind: "never" } as const;
const file = (value: string): Content => ({ kind: "file", value: utf8(value) });
const set = (path: string, value = "1"): WriteCommand => {
  return { kind: "set", path: parsePath(path), content: file(value), expiry: never, refresh: false };
};
const mkdir = (path: string): WriteCommand => {
  return { kind: "create", path: parsePath(path), content: { kind: "directory" }, expiry: never };
};

/** What an action changes in the counters, whether it is refused or not. */
async function changes(act: () => Promise<unknown>): Promise<Partial<StoreCounts>> {
  const before = { ...counters.counts };
  await act().catch(() => undefined);
  const names: readonly (keyof StoreCounts)[] = Object.keys(before).filter(
    (name): name is keyof StoreCounts => name in before,
  );
  return Object.fromEntries(
    names.map((name) => [name, counters.counts[name] - before[name]]).filter(([, change]) => change !== 0),
  );
}

const write = (command: WriteCommand) => changes(() => store.write(command));
const get = (path: string) => changes(() => store.get(parsePath(path), { recursive: false, sorted: false }));

describe("StoreCounters", () => {
  it("counts each kind of write where etcd does", async () => {
    expect(await write(set("/k"))).toEqual({ setsSuccess: 1 });
    expect(await write(mkdir("/d"))).toEqual({ createSuccess: 1 });
    expect(await write({ kind: "createInOrder", path: parsePath("/q"), content: file("1"), expiry: never })).toEqual({
      createSuccess: 1,
    });
    const update = {
      kind: "update",
      path: parsePath("/k"),
      content: file("2"),
      expiry: never,
      refresh: false,
    } as const;
    expect(await write(update)).toEqual({ updateSuccess: 1 });
    const swap = {
      kind: "compareAndSwap",
      path: parsePath("/k"),
      value: utf8("3"),
      expiry: never,
      refresh: false,
    } as const;
    expect(await write({ ...swap, condition: { prevValue: utf8("2") } })).toEqual({ compareAndSwapSuccess: 1 });
    const condition = { prevValue: utf8("3") };
    expect(await write({ kind: "compareAndDelete", path: parsePath("/k"), condition })).toEqual({
      compareAndDeleteSuccess: 1,
    });
    expect(await write({ kind: "delete", path: parsePath("/d"), directory: true, recursive: false })).toEqual({
      deleteSuccess: 1,
    });
  });

  it("counts refusals as failures, and those that etcd takes for successes as such", async () => {
    await store.write(set("/k"));
    await store.write(mkdir("/d"));
    const refused = { condition: { prevValue: utf8("other") } };
    const swap = { kind: "compareAndSwap", value: utf8("3"), expiry: never, refresh: false, ...refused } as const;
    const update = { kind: "update", content: file("2"), expiry: never, refresh: false } as const;
    const remove = { kind: "delete", directory: true, recursive: true } as const;
    const at = parsePath;
    expect(await write(set("/d"))).toEqual({ setsFail: 1 });
    expect(await write(set("/k/below"))).toEqual({ setsFail: 1 });
    expect(await write(mkdir("/d"))).toEqual({ createFail: 1 });
    expect(await write(mkdir("/k/below"))).toEqual({ createFail: 1, setsFail: 1 });
    expect(await write({ ...update, path: at("/none") })).toEqual({ updateFail: 1 });
    expect(await write({ ...update, path: at("/d") })).toEqual({ updateSuccess: 1 });
    expect(await write({ ...swap, path: at("/k") })).toEqual({ compareAndSwapFail: 1 });
    expect(await write({ ...swap, path: at("/") })).toEqual({ compareAndSwapSuccess: 1 });
    expect(await write({ kind: "compareAndDelete", path: at("/k"), ...refused })).toEqual({
      compareAndDeleteSuccess: 1,
    });
    expect(await write({ kind: "compareAndDelete", path: at("/d"), ...refused })).toEqual({
      compareAndDeleteSuccess: 1,
    });
    expect(await write({ kind: "compareAndDelete", path: at("/none"), ...refused })).toEqual({
      compareAndDeleteFail: 1,
    });
    expect(await write({ ...remove, path: at("/none") })).toEqual({ deleteFail: 1 });
    expect(await write({ ...remove, path: at("/") })).toEqual({ deleteSuccess: 1 });
  });

  it("counts reads, and nothing that did not reach the store", async () => {
    await store.write(set("/k"));
    expect(await get("/k")).toEqual({ getsSuccess: 1 });
    expect(await get("/none")).toEqual({ getsFail: 1 });
    const fail = () => Promise.reject(new MusterError("storeUnavailable", "Try again: the disk is full"));
    const broken = counters.counted({ get: fail, write: fail, watch: fail });
    expect(await changes(() => broken.get(parsePath("/k"), { recursive: false, sorted: false }))).toEqual({});
    expect(await changes(() => broken.write(set("/k")))).toEqual({});
    expect(await changes(() => broken.watch({ path: parsePath("/k"), recursive: false }))).toEqual({});
  });

  it("counts a watch from its request until it is closed, and closed twice once", async () => {
    const opening = store.watch({ path: parsePath("/k"), recursive: false });
    expect(counters.counts.watchers).toBe(1);
    const watch = await opening;
    const other = await store.watch({ path: parsePath("/"), recursive: true });
    expect(counters.counts.watchers).toBe(2);
    watch.close();
    watch.close();
    expect(counters.counts.watchers).toBe(1);
    other.close();
    expect(counters.counts.watchers).toBe(0);
  });

  it("counts a directory that expires once, with what is in it", async () => {
    const expires = Date.now() - 1;
    const content = { kind: "directory" } as const;
    await store.write({ kind: "create", path: parsePath("/d"), content, expiry: never });
    await store.write(set("/d/x"));
    const update = { kind: "update", path: parsePath("/d"), content: file(""), refresh: false } as const;
    await store.write({ ...update, expiry: { kind: "at", expires } });
    expect(await changes(() => tree.sweep())).toEqual({ expireCount: 1 });
  });
});
