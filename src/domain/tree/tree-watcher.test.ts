import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../test/support/until.ts";
import { utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Operation } from "../../engine/model.ts";
import { ACTION_KEY } from "./tree-layout.ts";
import { parsePath } from "./tree-path.ts";
import { TreeWatcher } from "./tree-watcher.ts";

let engine: Engine;
let watcher: TreeWatcher | undefined;
let failures: string[];
let gaps: number;
/** What the next calls of watch() do instead of their work; each once. */
let planned: (() => Watch)[];

beforeEach(() => {
  const store = openMemoryEngine();
  engine = store;
  failures = [];
  gaps = 0;
  planned = [];
  const { watch } = store;
  store.watch = (request) => planned.shift()?.() ?? watch.call(store, request);
});

afterEach(async () => {
  await watcher?.close();
  await engine.close();
});

async function start(): Promise<TreeWatcher> {
  const onFailure = (error: unknown) => void failures.push(error instanceof Error ? error.message : "");
  const onGap = () => {
    gaps++;
  };
  watcher = await TreeWatcher.start({ engine, onExpiry: () => undefined, onFailure, onGap });
  return watcher;
}

/** A watch that breaks when it is told to. */
function breakable(): { readonly watch: Watch; readonly break: (error: Error) => void } {
  let fail: (error: Error) => void = () => undefined;
  const broken = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  broken.catch(() => undefined);
  const watch: Watch = {
    createdRevision: Promise.resolve(1),
    requestProgress: () => undefined,
    close: () => undefined,
    [Symbol.asyncIterator]: () => ({ next: () => broken }),
  };
  return { watch, break: fail };
}

function refusing(error: MusterError): () => Watch {
  return () => {
    throw error;
  };
}

async function put(key: string): Promise<number> {
  const request = { key: utf8(key), value: utf8("x") };
  return (await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] })).revision;
}

async function compactTo(revision: number): Promise<void> {
  await engine.compact(revision);
}

function gone(compactRevision: number): MusterError {
  return new MusterError("compacted", "gone", { details: { compactRevision } });
}

describe("TreeWatcher: over a remote store", () => {
  beforeEach(() => {
    engine.endpoints = () => [];
  });

  it("knows what happened of late before it started, without asking for it again", async () => {
    const first = await put("/k");
    await put("/k");
    const watching = await start();
    await put("/last");
    const last = await watching.watch({ path: parsePath("/last"), recursive: false, waitIndex: first });
    for await (const event of last) {
      expect(event).toMatchObject({ node: { path: "/last" } });
      break;
    }
    planned = [refusing(new MusterError("storeUnavailable", "nobody should ask"))];
    const wait = await watching.watch({ path: parsePath("/k"), recursive: false, waitIndex: first });
    for await (const event of wait) {
      expect(event).toMatchObject({ action: "set", index: first });
      break;
    }
    expect(planned).toHaveLength(1);
  });

  it("begins behind what the store has forgotten, which is no failure", async () => {
    const first = await put("/k");
    const second = await put("/k");
    const third = await put("/k");
    await compactTo(second);
    const watching = await start();
    const wait = await watching.watch({ path: parsePath("/k"), recursive: false, waitIndex: third });
    for await (const event of wait) {
      expect(event).toMatchObject({ index: third });
      break;
    }
    await expect(watching.watch({ path: parsePath("/k"), recursive: false, waitIndex: first })).rejects.toMatchObject({
      code: "eventIndexCleared",
    });
    expect([failures, gaps]).toEqual([[], 0]);
  });
});

describe("TreeWatcher", () => {
  it("goes on where it was after its watch broke: a wait stays, and misses nothing of what happened meanwhile", async () => {
    const first = breakable();
    const down = new MusterError("storeUnavailable", "down");
    planned = [() => first.watch, refusing(down), refusing(down)];
    const watching = await start();
    const wait = await watching.watch({ path: parsePath("/k"), recursive: false });
    first.break(down);
    const revision = await put("/k");
    for await (const event of wait) {
      expect(event).toMatchObject({ action: "set", index: revision });
      break;
    }
    // Once, however often it was tried.
    expect(failures).toEqual(["down"]);
    expect(gaps).toBe(0);
    const late = await watching.watch({ path: parsePath("/k"), recursive: false, waitIndex: 1 });
    for await (const event of late) {
      expect(event.index).toBe(revision);
      break;
    }
  });

  it("ends the waits from before where the engine has forgotten what came meanwhile, and only those", async () => {
    const first = breakable();
    planned = [() => first.watch];
    const watching = await start();
    const old = await watching.watch({ path: parsePath("/k"), recursive: false });
    const ended = expect(old[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "eventIndexCleared" });
    await put("/k");
    await put("/other");
    const compacted = await put("/other");
    const later = await watching.watch({ path: parsePath("/k"), recursive: false });
    await compactTo(compacted);
    first.break(gone(compacted));
    await ended;
    expect(gaps).toBe(1);
    const revision = await put("/k");
    for await (const event of later) {
      expect(event).toMatchObject({ action: "set", index: revision });
      break;
    }
    const request = { path: parsePath("/k"), recursive: false, waitIndex: compacted - 1 };
    await expect(watching.watch(request)).rejects.toMatchObject({
      code: "eventIndexCleared",
      details: { oldestIndex: compacted },
    });
  });

  it("counts the revision that the engine is compacted to as forgotten: of that one deletes may be gone", async () => {
    const first = breakable();
    planned = [() => first.watch];
    const watching = await start();
    const before = watching.isUntouched(parsePath("/k"), { after: 1, until: 1 });
    const compacted = await put("/k");
    const old = await watching.watch({ path: parsePath("/k"), recursive: false, waitIndex: compacted });
    const ended = expect(old[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "eventIndexCleared" });
    await compactTo(compacted);
    first.break(gone(compacted));
    await ended;
    expect(gaps).toBe(1);
    expect([before, watching.isUntouched(parsePath("/k"), { after: 1, until: compacted })]).toEqual([true, false]);
  });

  it("goes on behind a later compaction where the first one is overtaken by it", async () => {
    const first = breakable();
    const second = breakable();
    planned = [() => first.watch, () => second.watch];
    const watching = await start();
    await put("/other");
    await put("/other");
    const newest = await put("/other");
    first.break(gone(newest - 1));
    second.break(gone(newest));
    await compactTo(newest);
    await until(async () => (gaps === 2 ? true : undefined), { timeoutMs: 20_000, what: "the second gap" });
    const wait = await watching.watch({ path: parsePath("/k"), recursive: false });
    const revision = await put("/k");
    for await (const event of wait) {
      expect(event.index).toBe(revision);
      break;
    }
  });

  it("passes over a revision whose record is damaged, instead of standing still before it", async () => {
    const watching = await start();
    const wait = await watching.watch({ path: parsePath("/k"), recursive: false });
    const ended = expect(wait[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "eventIndexCleared" });
    const damaged: Operation = { kind: "put", request: { key: ACTION_KEY, value: utf8("{") } };
    await engine.txn({ compares: [], success: [damaged], failure: [] });
    await ended;
    expect(failures).toHaveLength(1);
    const anew = await watching.watch({ path: parsePath("/k"), recursive: false });
    const revision = await put("/k");
    for await (const event of anew) {
      expect(event.index).toBe(revision);
      break;
    }
  });

  it("ends quietly when the engine was closed meanwhile", async () => {
    const first = breakable();
    const ended = new Promise<void>((resolve) => {
      planned = [
        () => first.watch,
        () => {
          resolve();
          throw new MusterError("closed", "closed");
        },
      ];
    });
    await start();
    first.break(new Error("broke"));
    await ended;
    await watcher?.close();
    expect(failures).toEqual(["broke"]);
  });
});
