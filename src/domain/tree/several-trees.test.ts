/** Several processes on one store, which is slow, breaks, is written to by others and compacted: they are as one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  file,
  gather,
  LAST,
  make,
  START,
  type Step,
  type Trouble,
  type World,
  withTrees,
} from "../../../test/support/several-trees.ts";
import {
  commandArb,
  flatten,
  Model,
  modelAnswer,
  NEVER,
  type ShownEvent,
  show,
  treeAnswer,
} from "../../../test/support/v2-model.ts";
import type { Expiry } from "./model.ts";
import { isHidden, parentOf, parsePath, ROOT } from "./tree-path.ts";

describe("several trees on one store", () => {
  it("every answer of any of them is the model's, at once after the answer of another", {
    timeout: 300_000,
  }, async () => {
    const expiry = fc.oneof(
      { weight: 3, arbitrary: NEVER },
      {
        weight: 1,
        arbitrary: fc.integer({ min: 0, max: 9 }).map((s): Expiry => ({ kind: "at", expires: START + s * 1000 })),
      },
    );
    const step = fc.record({
      command: commandArb(expiry, fc.boolean()).filter(({ kind }) => kind !== "expire"),
      trouble: fc.constantFrom<Trouble>("nothing", "nothing", "burn", "compact"),
      seconds: fc.constantFrom(0, 0, 0, 1, 3),
      sweep: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(), async (program, seed) => {
        await withTrees(seed, async (world) => {
          const model = new Model();
          let now = START;
          for (const { command, trouble, seconds, sweep } of program) {
            await make(trouble, world);
            world.pass(seconds * 1000);
            now += seconds * 1000;
            if (sweep) await Promise.all(world.processes.map(({ tree }) => tree.sweep()));
            model.expire(now);
            const told = await treeAnswer(world.pick().tree.write(command));
            if (typeof told !== "string") model.index = told.node.modified - 1;
            expect(told).toEqual(modelAnswer(model, command));
            model.expire(now);
            const { node, index } = await world.pick().tree.get(ROOT, { recursive: true, sorted: true });
            const wanted = [...model.nodes.values()].filter(({ path }) => !isHidden(path, ROOT)).map(show);
            const byPath = (a: { path: string }, b: { path: string }) =>
              Buffer.compare(Buffer.from(a.path), Buffer.from(b.path));
            expect([...flatten(node)].slice(1).sort(byPath)).toEqual(wanted.sort(byPath));
            expect(index).toBeGreaterThanOrEqual(model.index);
            const one = [...model.nodes.values()][world.store.chance(model.nodes.size)];
            if (one === undefined) continue;
            const shown = await world.pick().tree.get(one.path, { recursive: false, sorted: false });
            expect(shown.node).toMatchObject({ createdIndex: one.created, modifiedIndex: one.modified });
          }
        });
      }),
      { numRuns: 60 },
    );
  });

  it("what is read while another tenant writes and compacts all the time is the model's too", {
    timeout: 300_000,
  }, async () => {
    const command = commandArb(NEVER, fc.boolean()).filter(({ kind }) => kind !== "createInOrder");
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 15 }), fc.nat(), async (program, seed) => {
        await withTrees(seed, async (world) => {
          const model = new Model();
          await world.store.beside(12, async () => {
            for (const each of program) {
              const told = await treeAnswer(world.pick().tree.write(each));
              if (typeof told !== "string") model.index = told.node.modified - 1;
              expect(told).toEqual(modelAnswer(model, each));
              const { node } = await world.pick().tree.get(ROOT, { recursive: false, sorted: false });
              const children = [...model.nodes.keys()].filter(
                (path) => parentOf(path) === ROOT && !isHidden(path, ROOT),
              );
              expect([...(node.kind === "directory" ? (node.nodes ?? []) : [])].map(({ path }) => path)).toEqual(
                children.sort(),
              );
            }
          });
        });
      }),
      { numRuns: 60 },
    );
  });

  const step = (troubles: readonly Trouble[]) =>
    fc.record({
      command: commandArb(NEVER, fc.constant(false)).filter(({ kind }) => kind !== "createInOrder"),
      trouble: fc.constantFrom(...troubles),
    });

  /** What each process's watch of everything has told, and what it should have. */
  async function watched(world: World, program: readonly Step[]) {
    const model = new Model();
    const watches = await Promise.all(world.processes.map(({ tree }) => tree.watch({ path: ROOT, recursive: true })));
    const gathering = watches.map((watch) => gather(watch));
    for (const { command, trouble } of program) {
      await make(trouble, world);
      const told = await treeAnswer(world.connected().tree.write(command));
      if (typeof told !== "string") model.index = told.node.modified - 1;
      expect(told).toEqual(modelAnswer(model, command));
    }
    const events = [...model.events];
    await make("mend", world);
    await world.pick().tree.write(file(LAST));
    const gathered = await Promise.all(gathering);
    return { gathered, events, shown: events.filter(({ node }) => !isHidden(parsePath(node.path), ROOT)) };
  }

  it("a watch is told every event once and in order, however often its process is cut off", {
    timeout: 300_000,
  }, async () => {
    const programs = fc.array(step(["nothing", "burn", "cut", "mend"]), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(programs, fc.nat(), async (program, seed) => {
        await withTrees(seed, async (world) => {
          const { gathered, events, shown } = await watched(world, program);
          for (const each of gathered) expect(each).toEqual({ events: shown, ended: undefined });
          for (const { tree, warnings } of world.processes) {
            const past = await tree.watch({ path: ROOT, recursive: true, waitIndex: 1 });
            expect((await gather(past)).events).toEqual(events);
            expect(warnings.filter((warning) => warning.includes("forgotten"))).toEqual([]);
          }
        });
      }),
      { numRuns: 40 },
    );
  });

  it("beside a tenant that compacts, a watch is told all up to where it is told that it misses something", {
    timeout: 300_000,
  }, async () => {
    const programs = fc.array(step(["nothing", "burn", "compact", "compact", "cut", "mend"]), { maxLength: 20 });
    let gaps = 0;
    await fc.assert(
      fc.asyncProperty(programs, fc.nat(), async (program, seed) => {
        await withTrees(seed, async (world) => {
          const { gathered, shown } = await watched(world, program);
          for (const { events, ended } of gathered) {
            const expected = withoutForgotten(shown, events);
            if (ended === undefined) expect(events).toEqual(expected);
            else {
              gaps++;
              expect(ended).toMatchObject({ code: "eventIndexCleared" });
              expect(events).toEqual(expected.slice(0, events.length));
            }
          }
          // Whoever comes again is served again, and told what happens from then on.
          for (const { tree } of world.processes) {
            const watch = await tree.watch({ path: parsePath("/again"), recursive: false });
            const { index } = await world.pick().tree.write(file("/again"));
            for await (const event of watch) {
              expect(event.index).toBe(index);
              break;
            }
          }
        });
      }),
      { numRuns: 40 },
    );
    expect(gaps).toBeGreaterThan(0);
  });
});

/** What should be told, where the tenant may have compacted away what a file held before: that is then not told. */
function withoutForgotten(events: readonly ShownEvent[], told: readonly ShownEvent[]): readonly ShownEvent[] {
  return events.map((event, place) => {
    const isForgotten = event.prev !== undefined && told[place]?.prev?.value === undefined;
    return isForgotten ? { ...event, prev: { ...event.prev, value: undefined } } : event;
  });
}
