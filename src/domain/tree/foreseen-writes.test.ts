import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Foresight, TreeEvent, WriteCommand } from "./model.ts";
import { Tree } from "./tree.ts";
import { parsePath } from "./tree-path.ts";

let now: number;
let engine: Engine;
let tree: Tree;
let other: Tree;
let settled: (number | undefined)[];
const clock: Clock = { now: () => now, monotonic: () => now };

beforeEach(async () => {
  now = 1_700_000_000_000;
  settled = [];
  engine = openMemoryEngine({ clock });
  tree = await Tree.open({ engine, clock, log: silentLog });
  other = await Tree.open({ engine, clock, log: silentLog });
  await create("/a/b/first");
  settled = [];
});

afterEach(async () => {
  vi.restoreAllMocks();
  await tree.close();
  await other.close();
  await engine.close();
});

/** Creates a file of which nothing but what the tree knows is foreseen. */
function create(path: string, foresight: Partial<Foresight> = {}): Promise<TreeEvent> {
  const settle = (revision: number | undefined) => void settled.push(revision);
  const rider = () => Promise.resolve({ compares: [], operations: [] });
  const content = { kind: "file", value: utf8("v") } as const;
  const command: WriteCommand = { kind: "create", path: parsePath(path), content, expiry: { kind: "never" } };
  return tree.write(command, rider, { foresee: () => ({ compares: [], operations: [], settle }), ...foresight });
}

function remove(path: string): Promise<TreeEvent> {
  return other.write({ kind: "delete", path: parsePath(path), directory: true, recursive: true });
}

function giveTime(path: string, expires: number): Promise<TreeEvent> {
  const content = { kind: "file", value: utf8("") } as const;
  return other.write({
    kind: "update",
    path: parsePath(path),
    content,
    expiry: { kind: "at", expires },
    refresh: false,
  });
}

async function put(key: string): Promise<void> {
  const request = { key: utf8(key), value: utf8("v3's") };
  await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
}

describe("a create that is foreseen", () => {
  it("is one transaction, without a read", async () => {
    await create("/a/b/second");
    const txn = vi.spyOn(engine, "txn");
    const range = vi.spyOn(engine, "range");
    const event = await create("/a/b/third");
    expect([txn.mock.calls.length, range.mock.calls.length]).toEqual([1, 0]);
    expect(event).toMatchObject({ action: "create", index: event.node.createdIndex });
    expect(settled.at(-1)).toBe(event.index);
  });

  it("below a fresh name makes all directories on the way", async () => {
    const event = await create("/a/b/fresh/x/file", { fresh: parsePath("/a/b/fresh") });
    expect(settled).toEqual([event.index]);
    for (const path of ["/a/b/fresh", "/a/b/fresh/x"]) {
      const { node } = await tree.get(parsePath(path), { recursive: false, sorted: false });
      expect(node).toMatchObject({ kind: "directory", createdIndex: event.index });
    }
    await create("/a/b/fresh/beside");
    expect(settled).toHaveLength(2);
  });

  it("below a name that is not as fresh as was said goes the usual way", async () => {
    await create("/a/b/fresh/file");
    settled = [];
    await create("/a/b/fresh/x/file", { fresh: parsePath("/a/b/fresh") });
    expect(settled).toEqual([undefined]);
  });

  it("makes directories anew that somebody took away", async () => {
    await create("/a/b/second");
    await remove("/a");
    const event = await create("/a/b/third");
    expect(settled).toEqual([expect.any(Number), undefined]);
    const { node } = await tree.get(parsePath("/a/b"), { recursive: false, sorted: false });
    expect(node.createdIndex).toBe(event.index);
  });

  it("is refused where a key of v3's stands below it, at it, or is a directory above it", async () => {
    await create("/a/b/second");
    await put("/a/b/x/y");
    await expect(create("/a/b/x")).rejects.toMatchObject({ code: "nodeExists" });
    await put("/a/b/z");
    await expect(create("/a/b/z")).rejects.toMatchObject({ code: "nodeExists" });
    await expect(create("/a/b/z/below")).rejects.toMatchObject({ code: "notDirectory" });
    await expect(create("/a/b/second")).rejects.toMatchObject({ code: "nodeExists" });
  });

  it.each(["/a", "/a/b"])("does not live on in %s, whose time is over before anybody swept it", async (path) => {
    await create("/a/b/second");
    await giveTime(path, now + 60_000);
    now += 61_000;
    await create("/a/b/third");
    const { node } = await tree.get(parsePath("/a/b"), { recursive: false, sorted: false });
    const children = node.kind === "directory" ? [...(node.nodes ?? [])] : [];
    expect(children.map((child) => child.path)).toEqual(["/a/b/third"]);
  });

  it("tells whoever foresaw it when the store fails", async () => {
    await create("/a/b/second");
    settled = [];
    vi.spyOn(engine, "txn").mockRejectedValueOnce(new Error("the disk is full"));
    await expect(create("/a/b/third")).rejects.toThrow("the disk is full");
    expect(settled).toEqual([undefined]);
    await create("/a/b/third");
  });
});
