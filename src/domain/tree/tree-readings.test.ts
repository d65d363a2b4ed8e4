import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../test/support/until.ts";
import { text, utf8 } from "../../base/bytes.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { TREE_READING_BYTES } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { TreeReading } from "./model.ts";
import { Tree } from "./tree.ts";
import { parsePath } from "./tree-path.ts";

let engine: Engine;
let tree: Tree;
let aheadMs: number;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };

beforeEach(async () => {
  aheadMs = 0;
  engine = openMemoryEngine();
  tree = await Tree.open({ engine, clock, log: silentLog });
});

afterEach(async () => {
  await tree.close();
  await engine.close();
});

async function set(path: string, value = "x", expires?: number): Promise<number> {
  const content = { kind: "file", value: utf8(value) } as const;
  const expiry = expires === undefined ? ({ kind: "never" } as const) : ({ kind: "at", expires } as const);
  const event = await tree.write({ kind: "set", path: parsePath(path), content, expiry, refresh: false });
  return event.index;
}

async function put(key: string): Promise<void> {
  const request = { key: utf8(key), value: utf8("v3") };
  await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
}

const get = (path: string): Promise<TreeReading> => tree.get(parsePath(path), { recursive: false, sorted: false });

function shownValue({ node }: TreeReading): string | undefined {
  return node.kind === "file" ? text(node.value) : undefined;
}

function childrenOf({ node }: TreeReading): readonly string[] {
  return node.kind === "file" ? [] : [...(node.nodes ?? [])].map(({ path }) => path);
}

/** Reads until the reading is the one that was kept before: the tree hears of a write a moment after its answer. */
async function isKept(path: string): Promise<TreeReading> {
  let reading = await get(path);
  const again = async () => {
    const { node } = reading;
    reading = await get(path);
    return reading.node === node ? reading : undefined;
  };
  return until(again, { timeoutMs: 40_000, what: `the reading of ${path} to be kept` });
}

describe("Tree.get of what was read before", () => {
  it("gives the same node at the newest index while only others are written", async () => {
    await set("/a/k");
    await isKept("/a/k");
    const index = await set("/b/k");
    const reading = await isKept("/a/k");
    expect(reading.index).toBe(index);
    expect(shownValue(reading)).toBe("x");
  });

  it("reads anew at once what was written, deleted, or taken away with what is above it", async () => {
    await set("/a/k", "1");
    await isKept("/a/k");
    await set("/a/k", "2");
    expect(shownValue(await get("/a/k"))).toBe("2");
    await isKept("/a/k");
    await tree.write({ kind: "delete", path: parsePath("/a"), directory: true, recursive: true });
    await expect(get("/a/k")).rejects.toMatchObject({ code: "nodeNotFound" });
  });

  it("shows children that came and went, by v2 and by v3", async () => {
    await set("/a/k");
    expect(childrenOf(await isKept("/a"))).toEqual(["/a/k"]);
    await put("/a/v3");
    expect(childrenOf(await get("/a"))).toEqual(["/a/k", "/a/v3"]);
    await isKept("/");
    await put("/b/c/d");
    expect(childrenOf(await get("/"))).toEqual(["/a", "/b"]);
  });

  it("shows a directory that only a key without a v2 name implies", async () => {
    await set("/a");
    expect(childrenOf(await isKept("/"))).toEqual(["/a"]);
    await put("/b//c");
    expect(childrenOf(await get("/"))).toEqual(["/a", "/b"]);
    expect(childrenOf(await isKept("/"))).toEqual(["/a", "/b"]);
  });

  it("shows nothing whose time is over", async () => {
    await set("/a", "x", clock.now() + 60_000);
    await isKept("/a");
    aheadMs = 60_001;
    await expect(get("/a")).rejects.toMatchObject({ code: "nodeNotFound" });
  });

  it("keeps no reading that is large", async () => {
    await set("/large", "v".repeat(TREE_READING_BYTES + 1));
    expect((await get("/large")).kept).toBeUndefined();
    expect((await get("/large")).node).not.toBe((await get("/large")).node);
  });
});
