/** The tree held against a plain model of etcd v2's store, on random programs, alone and with others in between. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  commandArb,
  flatten,
  Model,
  modelAnswer,
  NEVER,
  type ShownEvent,
  type ShownNode,
  show,
  showEvent,
  showNode,
  treeAnswer,
} from "../../../test/support/v2-model.ts";
import { utf8 } from "../../base/bytes.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Expiry, WriteCommand } from "./model.ts";
import { Tree } from "./tree.ts";
import { isBelow, isHidden, parentOf, parsePath, ROOT } from "./tree-path.ts";

const START = 1_700_000_000_000;

/** Both sides' answer to a command. */
async function both(tree: Tree, model: Model, command: WriteCommand): Promise<void> {
  const told = await treeAnswer(tree.write(command));
  if (typeof told !== "string") {
    // What expired meanwhile took indices of its own.
    expect(told.node.modified).toBeGreaterThan(model.index);
    model.index = told.node.modified - 1;
  }
  expect(told).toEqual(modelAnswer(model, command));
}

async function expectSame(tree: Tree, model: Model): Promise<void> {
  for (const looked of [ROOT, ...model.nodes.keys()]) {
    const { node } = await tree.get(looked, { recursive: true, sorted: true });
    const seen = [...model.nodes.values()].filter(({ path }) => isBelow(path, looked) && !isHidden(path, looked));
    const wanted = [model.get(looked), ...seen].map(show);
    expect([...flatten(node)].sort(byPath)).toEqual(wanted.sort(byPath));
    const shallow = await tree.get(looked, { recursive: false, sorted: true });
    const children = wanted.filter(({ path }) => path !== looked && parentOf(parsePath(path)) === looked);
    const listed = shallow.node.kind === "directory" ? [...(shallow.node.nodes ?? [])] : [];
    expect(listed.map(showNode)).toEqual(children);
  }
}

function byPath(a: ShownNode, b: ShownNode): number {
  return Buffer.compare(Buffer.from(a.path), Buffer.from(b.path));
}

async function pastEvents(tree: Tree, count: number): Promise<readonly ShownEvent[]> {
  const watch = await tree.watch({ path: ROOT, recursive: true, waitIndex: 2 });
  const events: ShownEvent[] = [];
  if (count > 0) {
    for await (const event of watch) {
      events.push(showEvent(event));
      if (events.length === count) break;
    }
  }
  watch.close();
  return events;
}

async function withTree(
  test: (parts: { tree: Tree; again: () => Promise<Tree>; pass: (ms: number) => void }) => Promise<void>,
) {
  let now = START;
  const clock = { now: () => now, monotonic: () => now };
  const engine = openMemoryEngine({ clock });
  const pass = (ms: number) => {
    now += ms;
  };
  const opened: Tree[] = [];
  const open = async () => {
    const tree = await Tree.open({ engine, clock, log: { warn: () => {} } });
    opened.push(tree);
    return tree;
  };
  try {
    await test({ tree: await open(), again: open, pass });
  } finally {
    for (const tree of opened) await tree.close();
    await engine.close();
  }
}

describe("Tree", () => {
  it("write, get, watch: without times to live, every answer, index and past event is the model's", async () => {
    const programs = fc.array(commandArb(NEVER, fc.constant(false)), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(programs, async (program) => {
        await withTree(async ({ tree, again }) => {
          const model = new Model();
          for (const command of program) {
            const before = model.index;
            await both(tree, model, command);
            expect(model.index - before).toBeLessThanOrEqual(1);
          }
          await expectSame(tree, model);
          expect(await pastEvents(tree, model.events.length)).toEqual(model.events);
          // A tree that was opened later has none of it in memory and reads it from the engine.
          expect(await pastEvents(await again(), model.events.length)).toEqual(model.events);
        });
      }),
      { numRuns: 150 },
    );
  });

  it("write, get: with times to live and time passing, swept or not, every answer is the model's", async () => {
    const expiry = fc.oneof(
      NEVER,
      fc.integer({ min: 0, max: 9 }).map((s): Expiry => ({ kind: "at", expires: START + s * 1000 })),
    );
    const step = fc.oneof(
      // Only a sweeper lets nodes go that are past their time; there is nothing else to ask for.
      { weight: 6, arbitrary: commandArb(expiry, fc.boolean()).filter(({ kind }) => kind !== "expire") },
      { weight: 1, arbitrary: fc.record({ seconds: fc.integer({ min: 1, max: 4 }), sweep: fc.boolean() }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (program) => {
        await withTree(async ({ tree, pass }) => {
          const model = new Model();
          let now = START;
          for (const each of program) {
            if ("seconds" in each) {
              pass(each.seconds * 1000);
              now += each.seconds * 1000;
              if (each.sweep) await tree.sweep();
            }
            model.expire(now);
            if ("kind" in each) await both(tree, model, each);
            model.expire(now);
          }
          await expectSame(tree, model);
        });
      }),
      { numRuns: 150 },
    );
  });

  const raced = async (before: readonly WriteCommand[], command: WriteCommand, between: WriteCommand) => {
    await withTree(async ({ tree, again }) => {
      const other = await again();
      const model = new Model();
      for (const each of before) await both(tree, model, each);
      let overtaken = false;
      const writing = tree.write(command, async () => {
        if (!overtaken) {
          overtaken = true;
          await both(other, model, between);
        }
        return { compares: [], operations: [] };
      });
      const told = await treeAnswer(writing);
      expect(told).toEqual(modelAnswer(model, command));
      await expectSame(tree, model);
    });
  };

  it("write: what another writer does between reading and committing is as if it had come before", async () => {
    const plain = commandArb(NEVER, fc.boolean());
    const races = fc.asyncProperty(fc.array(plain, { maxLength: 6 }), plain, plain, raced);
    await fc.assert(races, { numRuns: 300 });
  });

  it.each([
    { it: "the directory goes", before: [directory("/a")], command: file("/a/b"), between: remove("/a", true) },
    {
      it: "its file goes with the directory",
      before: [file("/a/b")],
      command: file("/a/b"),
      between: remove("/a", true),
    },
    {
      it: "a directory on the way goes",
      before: [directory("/a")],
      command: file("/a/b/c"),
      between: remove("/a", true),
    },
    { it: "a file comes in the way", before: [], command: file("/a/b/c"), between: file("/a") },
    { it: "a file comes further on the way", before: [], command: file("/a/b/c"), between: file("/a/b") },
    { it: "the directory comes", before: [], command: file("/a/b"), between: directory("/a", START + 5000) },
    {
      it: "a file comes into the empty directory",
      before: [directory("/a")],
      command: remove("/a", false),
      between: file("/a/b"),
    },
    {
      it: "a directory comes into it",
      before: [directory("/a")],
      command: remove("/a", false),
      between: directory("/a/b"),
    },
    { it: "the file becomes a directory", before: [file("/a")], command: file("/a"), between: directory("/a") },
  ])("write: between reading and committing $it", async ({ before, command, between }) => {
    await raced(before, command, between);
  });
});

function file(path: string): WriteCommand {
  const content = { kind: "file", value: utf8("x") } as const;
  return { kind: "set", path: parsePath(path), content, expiry: { kind: "never" }, refresh: false };
}

function directory(path: string, expires?: number): WriteCommand {
  const content = { kind: "directory" } as const;
  const expiry: Expiry = expires === undefined ? { kind: "never" } : { kind: "at", expires };
  return { kind: "set", path: parsePath(path), content, expiry, refresh: false };
}

function remove(path: string, recursive: boolean): WriteCommand {
  return { kind: "delete", path: parsePath(path), directory: true, recursive };
}
