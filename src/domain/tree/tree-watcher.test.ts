import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { Engine, Watch } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import { parsePath } from "./tree-path.ts";
import { TreeWatcher } from "./tree-watcher.ts";

let engine: Engine;
let watcher: TreeWatcher | undefined;
let failures: string[];
/** What the next calls of watch() do instead of their work; each once. */
let planned: (() => Watch)[];

beforeEach(() => {
  const store = openMemoryEngine();
  engine = store;
  failures = [];
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
  watcher = await TreeWatcher.start({ engine, onExpiry: () => undefined, onFailure });
  return watcher;
}

/** A watch that breaks when it is told to. */
function breakable(): { readonly watch: Watch; readonly break: () => void } {
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
  return { watch, break: () => fail(new Error("broke")) };
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

describe("TreeWatcher", () => {
  it("begins anew after its watch broke, though the store cannot be watched at first", async () => {
    const first = breakable();
    const down = new MusterError("storeUnavailable", "down");
    planned = [() => first.watch, refusing(down), refusing(down)];
    const watching = await start();
    const old = await watching.watch({ path: parsePath("/k"), recursive: false });
    const ended = expect(old[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "eventIndexCleared" });
    first.break();
    // Its readers are told when, and only when, there is a watch again.
    await ended;
    expect(failures).toEqual(["broke", "down", "down"]);
    const anew = await watching.watch({ path: parsePath("/k"), recursive: false });
    const revision = await put("/k");
    for await (const event of anew) {
      expect(event).toMatchObject({ action: "set", index: revision });
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
    first.break();
    await ended;
    await watcher?.close();
    expect(failures).toEqual(["broke"]);
  });
});
