import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { commandArb, treeAnswer } from "../../../test/support/v2-model.ts";
import { text, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { KeyValue, TxnRequest } from "../../engine/model.ts";
import type { Expiry, TreeEvent, WriteCommand } from "./model.ts";
import { Tree } from "./tree.ts";
import { parsePath } from "./tree-path.ts";
import { TreeWriter } from "./tree-writer.ts";

const START = 1_700_000_000_000;
const NEVER: Expiry = { kind: "never" };

let now: number;
let engine: Engine;
let writer: TreeWriter;
/** Transactions that only read, and those that write, since the last look. */
let reads: number;
let writes: number;
const clock: Clock = { now: () => now, monotonic: () => now };

beforeEach(() => {
  now = START;
  engine = openMemoryEngine({ clock });
  writer = another();
  const txn = engine.txn.bind(engine);
  vi.spyOn(engine, "txn").mockImplementation((request) => {
    if (isReadOnly(request)) reads++;
    else writes++;
    return txn(request);
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await engine.close();
});

function isReadOnly({ success, failure }: TxnRequest): boolean {
  return [...success, ...failure].every(({ kind }) => kind === "range");
}

/** One that knows nothing of what others wrote. */
function another(): TreeWriter {
  return new TreeWriter({ engine, clock, onExpired: () => undefined });
}

function set(path: string, value = "v", by = writer): Promise<TreeEvent> {
  return by.write(setCommand(path, value), undefined);
}

function setCommand(path: string, value: string, expiry: Expiry = NEVER): WriteCommand {
  const content = { kind: "file", value: utf8(value) } as const;
  return { kind: "set", path: parsePath(path), content, expiry, refresh: false };
}

function update(path: string, value: string, expiry: Expiry = NEVER): WriteCommand {
  const content = { kind: "file", value: utf8(value) } as const;
  return { kind: "update", path: parsePath(path), content, expiry, refresh: false };
}

async function calls(work: () => Promise<unknown>): Promise<{ readonly reads: number; readonly writes: number }> {
  reads = 0;
  writes = 0;
  await work();
  return { reads, writes };
}

async function commit(...operations: TxnRequest["success"]): Promise<void> {
  await engine.txn({ compares: [], success: operations, failure: [] });
}

function valuesOf({ node, prevNode }: TreeEvent): readonly (string | undefined)[] {
  return [node, prevNode].map((each) => (each?.kind === "file" ? text(each.value) : undefined));
}

describe("writing to a file again", () => {
  it("reads nothing, and tells what was there before", async () => {
    await set("/a/b", "1");
    expect(await calls(() => set("/a/b", "2"))).toEqual({ reads: 0, writes: 1 });
    const { index: third } = await set("/a/b", "3");
    const event = await set("/a/b", "4");
    expect(valuesOf(event)).toEqual(["4", "3"]);
    expect(event).toMatchObject({
      node: { createdIndex: third + 1, modifiedIndex: third + 1 },
      prevNode: { createdIndex: third, modifiedIndex: third },
    });
    const updated = await writer.write(update("/a/b", "5"), undefined);
    expect(valuesOf(updated)).toEqual(["5", "4"]);
    expect(updated.node).toMatchObject({ createdIndex: third + 1, modifiedIndex: third + 2 });
  });

  it("reads each time where other processes write to the store as well, whose writes would starve", async () => {
    const shared = new TreeWriter({ engine, clock, onExpired: () => undefined, isShared: true });
    for (const value of ["1", "2", "3"]) {
      expect(await calls(() => set("/a/b", value, shared))).toEqual({ reads: 1, writes: 1 });
    }
  });

  it.each([126, 127, 128, 300])("writes to a file below %d directories as often as wanted", async (depth) => {
    const path = `${"/d".repeat(depth)}/f`;
    for (const value of ["1", "2", "3"]) expect(valuesOf(await set(path, value))[0]).toBe(value);
    expect((await calls(() => set(path, "4"))).reads === 0).toBe(depth < MAX_TXN_OPERATIONS);
  });

  it("reads where somebody else has written to the file, and then knows it again", async () => {
    await set("/a/b", "1");
    await commit({ kind: "put", request: { key: utf8("/a/b"), value: utf8("v3's") } });
    const event = await set("/a/b", "2");
    expect(valuesOf(event)).toEqual(["2", "v3's"]);
    await set("/a/b", "other's", another());
    expect(await calls(() => set("/a/b", "3"))).toEqual({ reads: 1, writes: 2 });
    expect(await calls(() => set("/a/b", "4"))).toEqual({ reads: 0, writes: 1 });
  });

  it("tries in vain no more once a tree has heard that somebody else has written to the file", async () => {
    const trees = await Promise.all([1, 2].map(() => Tree.open({ engine, clock, log: silentLog })));
    try {
      const [mine, other] = trees;
      if (mine === undefined || other === undefined) throw new Error("too few trees");
      await mine.write(setCommand("/a/b", "1"));
      const watch = await mine.watch({ path: parsePath("/a/b"), recursive: false });
      await other.write(setCommand("/a/b", "2"));
      for await (const event of watch) if (valuesOf(event)[0] === "2") break;
      expect(await calls(() => mine.write(setCommand("/a/b", "3")))).toEqual({ reads: 1, writes: 1 });
      expect(await calls(() => mine.write(setCommand("/a/b", "4")))).toEqual({ reads: 0, writes: 1 });
    } finally {
      for (const tree of trees) await tree.close();
    }
  });

  it("makes the file, and the directories above it, where they are gone", async () => {
    await set("/a/b/c", "1");
    const { index } = await another().write(
      { kind: "delete", path: parsePath("/a"), directory: true, recursive: true },
      undefined,
    );
    const event = await set("/a/b/c", "2");
    expect(event.prevNode).toBeUndefined();
    expect(event.node).toMatchObject({ createdIndex: index + 1 });
    await commit({ kind: "deleteRange", request: { key: utf8("/a/b/c") } });
    expect((await set("/a/b/c", "3")).prevNode).toBeUndefined();
  });

  it("writes nothing below a directory whose time has come, however far above it is", async () => {
    await set("/a/b/c", "1");
    const expires = START + 1000;
    await another().write(update("/a", "", { kind: "at", expires }), undefined);
    now = expires;
    const event = await set("/a/b/c", "2");
    expect(event.prevNode).toBeUndefined();
  });

  it("lets a file go first whose time has come, and gives it another one before", async () => {
    const lease = (expires: number) => writer.write(setCommand("/a", "v", { kind: "at", expires }), undefined);
    await lease(START + 1000);
    now += 500;
    expect(await calls(() => lease(START + 2000))).toEqual({ reads: 0, writes: 1 });
    now = START + 2000;
    const event = await lease(START + 3000);
    expect(event.prevNode).toBeUndefined();
    expect(event.node.expires).toBe(START + 3000);
  });

  it("is done once for each of many who write at once", async () => {
    const { index } = await set("/a/b", "0");
    const events = await Promise.all(Array.from({ length: 20 }, (_, place) => set("/a/b", String(place))));
    expect(events.map((event) => event.index).sort((a, b) => a - b)).toEqual(
      events.map((_, place) => index + 1 + place),
    );
    for (const event of events) expect(event.prevNode?.modifiedIndex).toBe(event.index - 1);
  });
});

interface World {
  readonly engine: Engine;
  /** The writer of a step: the same one again and again, or always a new one. */
  readonly writer: (place: number) => TreeWriter;
}

type Step =
  | { readonly kind: "write"; readonly by: number; readonly command: WriteCommand }
  | { readonly kind: "put" | "delete"; readonly key: string }
  | { readonly kind: "pass"; readonly seconds: number };

async function play({ engine: store, writer: of }: World, step: Step): Promise<unknown> {
  if (step.kind === "write") return treeAnswer(of(step.by).write(step.command, undefined));
  if (step.kind === "pass") return undefined;
  const key = utf8(step.key);
  const operation =
    step.kind === "put"
      ? ({ kind: "put", request: { key, value: utf8("v3's") } } as const)
      : ({ kind: "deleteRange", request: { key } } as const);
  return (await store.txn({ compares: [], success: [operation], failure: [] })).revision;
}

async function everything(store: Engine): Promise<readonly KeyValue[]> {
  return (await store.range({ key: new Uint8Array(0), end: null })).kvs;
}

it("whoever knows how it left files writes what one who reads first writes, whatever others do in between", async () => {
  const expiry = fc.oneof(
    { weight: 3, arbitrary: fc.constant(NEVER) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 0, max: 9 }).map((s): Expiry => ({ kind: "at", expires: START + s * 1000 })),
    },
  );
  const command = commandArb(expiry, fc.boolean());
  const kept = command.filter(({ kind }) => kind === "set" || kind === "update");
  const key = command.map(({ path }) => path);
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("write" as const),
        by: fc.nat(1),
        command: fc.oneof({ weight: 2, arbitrary: kept }, { weight: 1, arbitrary: command }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("put" as const, "delete" as const), key }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("pass" as const), seconds: fc.integer({ min: 1, max: 3 }) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (program) => {
      now = START;
      const open = () => openMemoryEngine({ clock });
      const make = (store: Engine) => new TreeWriter({ engine: store, clock, onExpired: () => undefined });
      const [one, two] = [open(), open()];
      const lasting = [make(one), make(one)];
      const knowing: World = { engine: one, writer: (place) => lasting[place] ?? make(one) };
      const reading: World = { engine: two, writer: () => make(two) };
      try {
        for (const each of program) {
          if (each.kind === "pass") now += each.seconds * 1000;
          expect(await play(knowing, each)).toEqual(await play(reading, each));
        }
        expect(await everything(one)).toEqual(await everything(two));
      } finally {
        await one.close();
        await two.close();
      }
    }),
    { numRuns: Number(process.env.MUSTER_TEST_PROGRAMS ?? 300) },
  );
});
