import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { MAX_KEY_BYTES } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Content, TreeEvent, TreeReading } from "./model.ts";
import { Tree } from "./tree.ts";
import { MAX_PATH_BYTES } from "./tree-layout.ts";
import { parsePath } from "./tree-path.ts";

/** What a request's head has room for. */
const DEEP = "/a".repeat(7_900);
const LONGEST = `/${"k".repeat(MAX_PATH_BYTES - 1)}`;

let now: number;
let engine: Engine;
let tree: Tree;
/** What the tree asks the engine for. */
let asked: number;

beforeEach(async () => {
  now = 1_700_000_000_000;
  const clock: Clock = { now: () => now, monotonic: () => now };
  const store = openMemoryEngine({ clock });
  engine = store;
  tree = await Tree.open({ engine, clock, log: silentLog });
  asked = 0;
  const { txn } = store;
  store.txn = (request) => {
    asked += request.success.length + request.compares.length;
    return txn.call(store, request);
  };
});

afterEach(async () => {
  await tree.close();
  await engine.close();
});

function set(path: string, content: Content, ttl?: number): Promise<TreeEvent> {
  const expiry = ttl === undefined ? ({ kind: "never" } as const) : ({ kind: "at", expires: now + ttl } as const);
  return tree.write({ kind: "set", path: parsePath(path), content, expiry, refresh: false });
}

function file(value: string): Content {
  return { kind: "file", value: utf8(value) };
}

function get(path: string): Promise<TreeReading> {
  return tree.get(parsePath(path), { recursive: false, sorted: true });
}

describe("Tree.write: long paths", () => {
  it("the longest can be written again and again, with a time to live, as a directory, and go", async () => {
    await set(LONGEST, file("1"));
    await set(LONGEST, file("2"), 60_000);
    await set(LONGEST, file("3"), 1000);
    now += 2000;
    await tree.sweep();
    await set(LONGEST, { kind: "directory" }, 1000);
    now += 2000;
    await tree.sweep();
    await expect(get(LONGEST)).rejects.toMatchObject({ code: "nodeNotFound" });
  });

  it.each([
    ["one byte longer than that", `${LONGEST}k`],
    ["longer in bytes, not in characters", `/${"é".repeat(MAX_PATH_BYTES / 2)}`],
    ["very deep", DEEP],
  ])("a path is refused before anything is read: %s", async (_what, path) => {
    await expect(set(path, file("1"))).rejects.toMatchObject({ code: "keyTooLong" });
    await expect(
      tree.write({ kind: "delete", path: parsePath(path), directory: true, recursive: true }),
    ).rejects.toMatchObject({ code: "keyTooLong" });
    expect(asked).toBe(0);
  });

  it("an in-order key needs room for its name", async () => {
    const write = (path: string) =>
      tree.write({ kind: "createInOrder", path: parsePath(path), content: file("1"), expiry: { kind: "never" } });
    const { node } = await write(LONGEST.slice(0, -21));
    expect(node.path).toHaveLength(MAX_PATH_BYTES);
    await expect(write(LONGEST.slice(0, -20))).rejects.toMatchObject({ code: "keyTooLong" });
  });
});

describe("Tree.get: long paths", () => {
  it("what is too long is missing as anything else: the first name that is not there is the cause", async () => {
    await expect(get(DEEP)).rejects.toMatchObject({ code: "nodeNotFound", details: { path: "/a" } });
    await set("/a/a/b", file("1"));
    await expect(get(DEEP)).rejects.toMatchObject({ code: "nodeNotFound", details: { path: "/a/a/a" } });
    await set("/a/a/a", file("1"));
    await expect(get(DEEP)).rejects.toMatchObject({ code: "notDirectory", details: { path: "/a/a/a" } });
  });

  it("no more is read than a path that fits needs", async () => {
    await expect(get("/a".repeat(MAX_KEY_BYTES / 2))).rejects.toMatchObject({ code: "nodeNotFound" });
    const most = asked;
    asked = 0;
    await expect(get(DEEP)).rejects.toMatchObject({ code: "nodeNotFound" });
    expect(asked).toBeLessThanOrEqual(most + 8);
  });

  it("a key that v3 put where v2 would not is there to be read", async () => {
    const key = `${LONGEST}${"k".repeat(MAX_KEY_BYTES - MAX_PATH_BYTES)}`;
    const request = { key: utf8(key), value: utf8("v3") };
    await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
    const { node } = await get(key);
    expect(node.kind === "file" ? text(node.value) : node.kind).toBe("v3");
  });
});
