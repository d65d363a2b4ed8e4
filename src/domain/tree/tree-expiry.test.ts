import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { silentLog } from "../../base/log.ts";
import { SteadyClock } from "../../base/steady-clock.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Content, TreeEvent } from "./model.ts";
import { Tree } from "./tree.ts";
import { parsePath, ROOT } from "./tree-path.ts";
import { newestWriteTime } from "./tree-time.ts";

const START = 1_700_000_000_000;
const YEAR_MS = 365 * 24 * 3600 * 1000;
/** How late a node may go. */
const LATE_MS = 1_000;
const FILE: Content = { kind: "file", value: utf8("x") };
const DIRECTORY: Content = { kind: "directory" };

let engine: Engine;
let tree: Tree;
let clock: SteadyClock;
/** What the machine has slept, in ms. */
let slept: number;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"], now: START });
  slept = 0;
  engine = openMemoryEngine();
  await open();
});

afterEach(async () => {
  await tree.close();
  await engine.close();
  vi.useRealTimers();
});

async function open(): Promise<void> {
  const machine = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sinceBoot: () => performance.now() + slept,
  };
  clock = new SteadyClock({ machine, onJump: () => undefined });
  tree = await Tree.open({ engine, clock, log: silentLog });
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

function jump(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

async function set(path: string, ttlMs: number | undefined, content = FILE): Promise<TreeEvent> {
  const expiry = ttlMs === undefined ? ({ kind: "never" } as const) : { kind: "at" as const, expires: due(ttlMs) };
  return tree.write({ kind: "set", path: parsePath(path), content, expiry, refresh: false });
}

function due(ttlMs: number): number {
  return clock.now() + ttlMs;
}

async function isThere(path: string): Promise<boolean> {
  return tree.get(parsePath(path), { recursive: false, sorted: true }).then(
    () => true,
    () => false,
  );
}

/** The paths of the next nodes that go, in their order. */
async function gone(from: number, count: number): Promise<readonly string[]> {
  const paths: string[] = [];
  for await (const { action, node } of await tree.watch({ path: ROOT, recursive: true, waitIndex: from })) {
    if (action === "expire" && paths.push(node.path) === count) break;
  }
  return paths;
}

describe("a node's time to live", () => {
  it.each([
    { what: "a file", path: "/f", content: FILE },
    { what: "a directory with what is in it", path: "/d", content: DIRECTORY },
  ])("lets $what go at its time: no ms before it, and within a second after it", async ({ path, content }) => {
    const { index } = await set(path, 10_000, content);
    if (content.kind === "directory") await set(`${path}/inside/file`, undefined);
    await pass(9_999);
    expect(await isThere(path)).toBe(true);
    expect(await engine.status()).toMatchObject({ revision: content.kind === "directory" ? index + 1 : index });
    await pass(LATE_MS);
    expect(await gone(index, 1)).toEqual([path]);
    expect(await isThere(`${path}/inside/file`)).toBe(false);
  });

  it("counts from the last refresh", async () => {
    const { index } = await set("/f", 10_000);
    await pass(9_000);
    const path = parsePath("/f");
    const expiry = { kind: "at", expires: due(10_000) } as const;
    await tree.write({ kind: "update", path, content: FILE, expiry, refresh: true });
    await pass(9_999);
    expect(await isThere("/f")).toBe(true);
    await pass(LATE_MS);
    expect(await gone(index, 1)).toEqual(["/f"]);
  });

  it("ends when it is taken away: then the node stays", async () => {
    await set("/f", 10_000);
    await set("/f", undefined);
    await set("/last", 20_000);
    await pass(20_000 + LATE_MS);
    expect(await gone(1, 1)).toEqual(["/last"]);
    expect(await isThere("/f")).toBe(true);
  });

  it("holds for many that are to go at once, each of them within a second", async () => {
    const names = Array.from({ length: 100 }, (_, place) => `/many/n${place}`);
    const { index } = await set("/many/first", 5_000);
    await Promise.all(names.map((name) => set(name, 5_000)));
    await pass(4_999);
    expect((await engine.status()).revision).toBe(index + names.length);
    await pass(LATE_MS);
    expect(new Set(await gone(index, names.length + 1))).toEqual(new Set([...names, "/many/first"]));
  });

  it("passes while the store is closed: what is overdue goes within a second of the start", async () => {
    const { index } = await set("/f", 10_000);
    await set("/d", 20_000, DIRECTORY);
    await set("/d/inside", undefined);
    await set("/later", YEAR_MS);
    await tree.close();
    await pass(60_000);
    await open();
    expect(await isThere("/f")).toBe(false);
    await pass(LATE_MS);
    expect(await gone(index, 2)).toEqual(["/f", "/d"]);
    expect(await isThere("/later")).toBe(true);
  });
});

describe("a node's time to live, when the machine's clock jumps", () => {
  it.each([YEAR_MS, 3_600_000, -3_600_000, -YEAR_MS])("by %d ms: goes on as time passes", async (ms) => {
    const { index } = await set("/f", 10_000);
    await set("/d", 20_000, DIRECTORY);
    await pass(4_000);
    jump(ms);
    await pass(5_999);
    expect(await isThere("/f")).toBe(true);
    expect((await engine.status()).revision).toBe(index + 1);
    await pass(LATE_MS);
    expect(await gone(index, 1)).toEqual(["/f"]);
    await pass(8_500);
    expect(await isThere("/d")).toBe(true);
    await pass(LATE_MS);
    expect(await gone(index, 2)).toEqual(["/f", "/d"]);
  });

  it("there and back again: nothing goes early or late", async () => {
    const { index } = await set("/f", 10_000);
    for (const ms of [YEAR_MS, -2 * YEAR_MS, YEAR_MS]) {
      jump(ms);
      await pass(3_333);
      expect(await isThere("/f")).toBe(true);
    }
    await pass(LATE_MS);
    expect(await gone(index, 1)).toEqual(["/f"]);
  });

  it("is counted right for what is written after the jump", async () => {
    jump(YEAR_MS);
    const { index } = await set("/f", 10_000);
    await pass(5_000);
    jump(-YEAR_MS);
    await pass(4_999);
    expect(await isThere("/f")).toBe(true);
    await pass(LATE_MS);
    expect(await gone(index, 1)).toEqual(["/f"]);
  });

  it("does not end while the store is closed and the clock is set back: it goes on from the newest write", async () => {
    const { index } = await set("/f", 10_000);
    await tree.close();
    jump(-YEAR_MS);
    await open();
    clock.startNotBefore(await newestWriteTime(engine));
    expect(clock.now()).toBe(START);
    await pass(9_999);
    expect(await isThere("/f")).toBe(true);
    await pass(LATE_MS);
    expect(await gone(index, 1)).toEqual(["/f"]);
  });

  it("counts what the machine slept: what came due meanwhile goes within a second of waking", async () => {
    const { index } = await set("/f", 3_600_000);
    await set("/later", YEAR_MS);
    slept += 7_200_000;
    jump(7_200_000);
    expect(await isThere("/f")).toBe(false);
    await pass(LATE_MS);
    expect(await gone(index, 1)).toEqual(["/f"]);
    expect(await isThere("/later")).toBe(true);
  });
});

describe("deleting a directory alone", () => {
  it("counts what is past its time for nothing, and lets it go first: that, and no more", async () => {
    const { index } = await set("/elsewhere", 1_000);
    await set("/d/dir", 900, DIRECTORY);
    await set("/d/dir/file", undefined);
    await set("/d/_hidden", 800);
    await set("/d/f", 700);
    // Time passes, but no timer runs: so the sweeper is not there yet.
    slept += 5_000;
    jump(5_000);
    await tree.write({ kind: "delete", path: parsePath("/d"), directory: true, recursive: false });
    expect(await gone(index, 3)).toEqual(["/d/f", "/d/_hidden", "/d/dir"]);
    const { kvs } = await engine.range({ key: utf8("/elsewhere") });
    expect(kvs).toHaveLength(1);
  });

  it("is refused while anything in it stays, and nothing goes then", async () => {
    await set("/d/f", 700);
    const { index } = await set("/d/g", undefined);
    slept += 5_000;
    jump(5_000);
    const deletion = tree.write({ kind: "delete", path: parsePath("/d"), directory: true, recursive: false });
    await expect(deletion).rejects.toMatchObject({ code: "directoryNotEmpty", details: { path: "/d", index } });
  });
});
