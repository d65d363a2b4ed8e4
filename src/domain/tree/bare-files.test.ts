import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Event, RangeRequest, TxnRequest } from "../../engine/model.ts";
import { BareFiles } from "./bare-files.ts";
import type { TreeEvent, TreePath } from "./model.ts";
import { Tree } from "./tree.ts";
import { fileRecordKey } from "./tree-layout.ts";
import { parsePath } from "./tree-path.ts";

const PATH = parsePath("/d/k");

function putEvent(key: Uint8Array, version: number): Event {
  const kv = { key, value: utf8("x"), createRevision: 2, modRevision: 2, version, lease: 0n };
  return { kind: "put", kv, prevKv: undefined };
}

describe("BareFiles", () => {
  const made = putEvent(utf8(PATH), 1);
  const record = putEvent(fileRecordKey(PATH), 3);

  it("knows a file that was made anew, and none that was only written again", () => {
    const bare = new BareFiles();
    bare.follow([putEvent(utf8(PATH), 2)]);
    expect(bare.isBare(PATH)).toBe(false);
    bare.follow([made]);
    expect(bare.isBare(PATH)).toBe(true);
  });

  it("forgets a file whose record is written, also in the revision that makes it, whatever comes first", () => {
    for (const events of [
      [made, record],
      [record, made],
    ]) {
      const bare = new BareFiles();
      bare.note(PATH);
      bare.follow(events);
      expect(bare.isBare(PATH)).toBe(false);
    }
  });
});

describe("a tree whose files v2 and v3 write in turns", () => {
  let engine: Engine;
  let tree: Tree;
  /** Revisions at which side records were read, to tell of v3's writes. */
  let recordReads: number;

  beforeEach(async () => {
    const opened = openMemoryEngine();
    recordReads = 0;
    const key = fileRecordKey(PATH);
    const isRecord = (request: RangeRequest) => (request.revision ?? 0) > 0 && Buffer.from(key).equals(request.key);
    engine = new Proxy(opened, {
      get: (target, name) => {
        if (name === "txn") {
          return (request: TxnRequest) => {
            for (const operation of request.success) {
              if (operation.kind === "range" && isRecord(operation.request)) recordReads++;
            }
            return target.txn(request);
          };
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    tree = await Tree.open({ engine, clock: systemClock, log: silentLog });
  });

  afterEach(async () => {
    await tree.close();
    await engine.close();
  });

  async function put(path: TreePath): Promise<number> {
    const request = { key: utf8(path), value: utf8("v3") };
    return (await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] })).revision;
  }

  function set(path: TreePath): Promise<TreeEvent> {
    const content = { kind: "file", value: utf8("v2") } as const;
    return tree.write({ kind: "set", path, content, expiry: { kind: "never" }, refresh: false });
  }

  function update(path: TreePath): Promise<TreeEvent> {
    const content = { kind: "file", value: utf8("v2 again") } as const;
    return tree.write({ kind: "update", path, content, expiry: { kind: "never" }, refresh: false });
  }

  async function next(write: () => Promise<unknown>): Promise<TreeEvent> {
    const watch = await tree.watch({ path: PATH, recursive: false });
    try {
      await write();
      for await (const event of watch) return event;
      throw new Error("the watch ended");
    } finally {
      watch.close();
    }
  }

  it("reads no record to tell of a file that only v3 wrote", async () => {
    const createdIndex = await put(PATH);
    for (let again = 0; again < 3; again++) {
      expect(await next(() => put(PATH))).toMatchObject({
        action: "set",
        node: { createdIndex },
        prevNode: { createdIndex },
      });
    }
    expect(recordReads).toBe(0);
  });

  it("tells the createdIndex that v2 gave a file, after v3 alone wrote it for a while", async () => {
    await put(PATH);
    await next(() => put(PATH));
    const { index } = await set(PATH);
    await update(PATH);
    for (let again = 0; again < 3; again++) {
      expect(await next(() => put(PATH))).toMatchObject({ action: "set", node: { createdIndex: index } });
    }
    expect(recordReads).toBeGreaterThan(0);
  });
});
