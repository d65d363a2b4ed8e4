import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { TREE_HISTORY_EVENTS } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Operation } from "../../engine/model.ts";
import type { Expiry, TreeEvent, TreeWatch } from "./model.ts";
import { Tree } from "./tree.ts";
import { parsePath } from "./tree-path.ts";

const NEVER: Expiry = { kind: "never" };

let engine: Engine;
let tree: Tree;

beforeEach(async () => {
  engine = openMemoryEngine();
  tree = await Tree.open({ engine, clock: systemClock, log: silentLog });
});

afterEach(async () => {
  await tree.close();
  await engine.close();
});

function set(path: string, value: string): Promise<TreeEvent> {
  const content = { kind: "file", value: utf8(value) } as const;
  return tree.write({ kind: "set", path: parsePath(path), content, expiry: NEVER, refresh: false });
}

function remove(path: string): Promise<TreeEvent> {
  return tree.write({ kind: "delete", path: parsePath(path), directory: true, recursive: true });
}

function watch(path: string, options: { recursive?: boolean; waitIndex?: number } = {}): Promise<TreeWatch> {
  return tree.watch({ path: parsePath(path), recursive: false, ...options });
}

async function commit(...success: Operation[]): Promise<number> {
  return (await engine.txn({ compares: [], success, failure: [] })).revision;
}

/** What a watch tells up to the write of `/end`, which every watch of the tests must be made to see. */
async function take(watching: TreeWatch, count: number): Promise<readonly string[]> {
  const told: string[] = [];
  for await (const event of watching) {
    told.push(words(event));
    if (told.length === count) break;
  }
  return told;
}

function words({ action, node, index }: TreeEvent): string {
  return `${action} ${node.path}${node.kind === "file" && node.value.length > 0 ? `=${text(node.value)}` : ""} ${index}`;
}

describe("Tree.watch", () => {
  it("index: no event after it is missed, none before it is told, however the calls fall together", async () => {
    for (let round = 0; round < 50; round++) {
      const writes = [set("/k", "1"), set("/k", "2")];
      const watching = await watch("/k");
      writes.push(set("/k", "3"));
      const made = (await Promise.all(writes)).map(({ index }) => index);
      const later = made.filter((index) => index > watching.index).sort((a, b) => a - b);
      const told = await take(watching, later.length);
      expect(told.map((line) => Number(line.split(" ")[2]))).toEqual(later);
    }
  });

  it("tells a v3 put as set and a v3 delete as delete, with what was there before", async () => {
    const watching = await watch("/", { recursive: true });
    await set("/d/k", "1");
    const { index } = await set("/d/k", "2");
    const key = utf8("/d/k");
    await commit(
      { kind: "put", request: { key, value: utf8("3") } },
      { kind: "put", request: { key: utf8("no path"), value: key } },
    );
    await commit({ kind: "deleteRange", request: { key } });
    const events: TreeEvent[] = [];
    for await (const event of watching) {
      events.push(event);
      if (events.length === 4) break;
    }
    expect(events[2]).toMatchObject({
      action: "set",
      node: { createdIndex: index + 1, modifiedIndex: index + 1, value: Uint8Array.from(utf8("3")) },
      prevNode: { createdIndex: index, modifiedIndex: index, value: Uint8Array.from(utf8("2")) },
    });
    expect(events[3]).toMatchObject({
      action: "delete",
      node: { kind: "file", createdIndex: index + 1, modifiedIndex: index + 2 },
      prevNode: { value: Uint8Array.from(utf8("3")), modifiedIndex: index + 1 },
    });
  });

  it("tells the keys of one v3 transaction one by one, and those that ride on a v2 write beside it", async () => {
    const watching = await watch("/", { recursive: true });
    const puts = ["/a", "/b"].map((key) => ({ kind: "put", request: { key: utf8(key), value: utf8("x") } }) as const);
    const first = await commit(...puts);
    const content = { kind: "directory" } as const;
    await tree.write({ kind: "create", path: parsePath("/d"), content, expiry: NEVER }, async () => ({
      compares: [],
      operations: [{ kind: "put", request: { key: utf8("/rider"), value: utf8("y") } }],
    }));
    const second = first + 1;
    expect(await take(watching, 4)).toEqual([
      `set /a=x ${first}`,
      `set /b=x ${first}`,
      `create /d ${second}`,
      `set /rider=y ${second}`,
    ]);
  });

  it("the end of a directory is told to who watches what was in it, also where v3 made it", async () => {
    await commit({ kind: "put", request: { key: utf8("/d/implied/k"), value: utf8("x") } });
    await set("/d/made/k", "x");
    const paths = ["/d/implied", "/d/implied/k", "/d/made", "/d/made/k"];
    const watches = await Promise.all(paths.map((path) => watch(path)));
    const never = await watch("/d/never");
    const { index } = await remove("/d");
    for (const watching of watches) expect(await take(watching, 1)).toEqual([`delete /d ${index}`]);
    const later = await set("/d/never", "now");
    expect(await take(never, 1)).toEqual([`set /d/never=now ${later.index}`]);
  });

  it("waitIndex: what memory has let go is read from the engine, then what comes live, without a gap", async () => {
    const { index: first } = await set("/k", "first");
    const key = utf8("/noise");
    for (let place = 0; place < TREE_HISTORY_EVENTS / 128 + 1; place++) {
      const success = Array.from(
        { length: 128 },
        (_none, at): Operation => ({ kind: "put", request: { key: utf8(`/noise/${at}`), value: key } }),
      );
      await commit(...success);
    }
    const { index: second } = await set("/k", "second");
    const watching = await watch("/k", { waitIndex: first });
    const { index: third } = await set("/k", "third");
    expect(await take(watching, 3)).toEqual([
      `set /k=first ${first}`,
      `set /k=second ${second}`,
      `set /k=third ${third}`,
    ]);
  });

  it("waitIndex: what is compacted and not in memory is refused, and says from where on there is history", async () => {
    await set("/k", "1");
    await set("/k", "2");
    const { revision } = await engine.status();
    await engine.compact(revision);
    await tree.close();
    tree = await Tree.open({ engine, clock: systemClock, log: silentLog });
    await expect(watch("/k", { waitIndex: revision - 1 })).rejects.toMatchObject({
      code: "eventIndexCleared",
      details: {
        oldestIndex: revision,
        index: revision,
        cause: expect.stringContaining(`[${revision}/${revision - 1}]`),
      },
    });
    expect(await take(await watch("/k", { waitIndex: revision }), 1)).toEqual([`set /k=2 ${revision}`]);
  });

  it("a recursive watch from above does not see what is hidden when it happens, only when it looks back", async () => {
    const watching = await watch("/d", { recursive: true });
    const { index: hidden } = await set("/d/_h/k", "1");
    const { index: seen } = await set("/d/v", "2");
    expect(await take(watching, 1)).toEqual([`set /d/v=2 ${seen}`]);
    expect(await take(await watch("/d", { recursive: true, waitIndex: hidden }), 1)).toEqual([
      `set /d/_h/k=1 ${hidden}`,
    ]);
    const own = await watch("/d/_h", { recursive: true });
    const { index } = await set("/d/_h/k", "3");
    expect(await take(own, 1)).toEqual([`set /d/_h/k=3 ${index}`]);
  });

  it("a refresh is told to nobody, now or later", async () => {
    const { index } = await set("/k", "1");
    const watching = await watch("/k");
    const expiry: Expiry = { kind: "at", expires: Date.now() + 60_000 };
    const content = { kind: "file", value: utf8("") } as const;
    await tree.write({ kind: "update", path: parsePath("/k"), content, expiry, refresh: true });
    const last = await set("/k", "2");
    expect(await take(watching, 1)).toEqual([`set /k=2 ${last.index}`]);
    expect(await take(await watch("/k", { waitIndex: index + 1 }), 1)).toEqual([`set /k=2 ${last.index}`]);
  });

  it("close: ends every watch, and the tree's own end does too", async () => {
    const mine = await watch("/k");
    const other = await watch("/k");
    mine.close();
    expect(await take(mine, 1)).toEqual([]);
    const waiting = take(other, 1);
    await tree.close();
    expect(await waiting).toEqual([]);
    await tree.close();
  });

  it("ten thousand watches of other paths do not see a write", async () => {
    const watches = await Promise.all(Array.from({ length: 10_000 }, (_none, place) => watch(`/w/${place}`)));
    const times: number[] = [];
    for (let place = 0; place < 50; place++) {
      const began = performance.now();
      await set("/k", "x");
      times.push(performance.now() - began);
    }
    // What others do on the machine only adds to the least.
    expect(Math.min(...times)).toBeLessThan(40);
    const { index } = await set("/w/77", "x");
    const [, seventySeventh] = [watches[0], watches[77]];
    expect(seventySeventh === undefined ? [] : await take(seventySeventh, 1)).toEqual([`set /w/77=x ${index}`]);
    for (const watching of watches) watching.close();
  });
});
