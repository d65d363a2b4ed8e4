/** Several processes on one store, at once: what each of them decides is decided for all. */
import { describe, expect, it } from "vitest";
import {
  FILE,
  file,
  gather,
  LAST,
  PLAIN,
  type Process,
  START,
  withTrees,
} from "../../../test/support/several-trees.ts";
import { until } from "../../../test/support/until.ts";
import { utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Expiry, TreeEvent, WriteCommand } from "./model.ts";
import { parsePath, ROOT } from "./tree-path.ts";

const NEVER: Expiry = { kind: "never" };
const PATIENCE = { timeoutMs: 40_000 };

describe("several trees on one store, at once", () => {
  it("what was noted in a gap goes when its time comes, whoever sweeps", async () => {
    await withTrees(1, async (world) => {
      const [a, b] = world.processes;
      if (a === undefined || b === undefined) throw new Error("too few processes");
      a.engine.cut();
      await b.tree.write(file("/f", START + 1000));
      await b.tree.write(file("/g"));
      await world.store.compact();
      a.engine.mend();
      await until(async () => (a.warnings.some((warning) => warning.includes("forgotten")) ? true : undefined), {
        ...PATIENCE,
        what: "the gap",
      });
      world.pass(2000);
      await expect(a.tree.get(parsePath("/f"), PLAIN)).rejects.toMatchObject({ code: "nodeNotFound" });
      expect(await a.tree.sweep()).toBe(1);
    });
  });

  it("each node goes once, and counts once, however many sweep and whatever answers are lost", async () => {
    await withTrees(7, async (world) => {
      const nodes = 150;
      for (let node = 0; node < nodes; node++)
        await world.pick().tree.write(file(`/d/${node}`, START + 1 + (node % 9)));
      const watch = await world.pick().tree.watch({ path: ROOT, recursive: true });
      const gathering = gather(watch);
      world.pass(1000);
      for (const { engine } of world.processes) engine.losing.push(undefined, "applied", undefined, "notApplied");
      const sweeps = await Promise.allSettled(world.processes.map(({ tree }) => tree.sweep()));
      expect(sweeps.some(({ status }) => status === "rejected")).toBe(true);
      for (const { tree } of world.processes) await tree.sweep();
      await world.pick().tree.write(file(LAST));
      const { events } = await gathering;
      const gone = events.filter(({ action }) => action === "expire").map(({ node }) => node.path);
      expect(new Set(gone).size).toBe(nodes);
      expect(gone).toHaveLength(nodes);
      const counted = world.processes.reduce((sum, { expired }) => sum + expired, 0);
      // Of those whose answer was lost nobody knows who let them go.
      expect(counted).toBeLessThanOrEqual(nodes);
      expect(counted).toBeGreaterThanOrEqual(nodes - world.processes.length);
    });
  });

  it("counters, creates and in-order names are decided for all processes at once", { timeout: 180_000 }, async () => {
    await withTrees(11, async (world) => {
      await world.pick().tree.write(file("/n"));
      const rounds = 12;
      const created: string[] = [];
      const names: { readonly name: string; readonly index: number }[] = [];
      let swapped = 0;
      let unknown = 0;
      /** Undefined where it is refused, or nobody knows what became of it. */
      const attempt = async (process: Process, command: WriteCommand): Promise<TreeEvent | undefined> => {
        if (world.store.chance(8) === 0) {
          process.engine.losing.push(world.store.chance(2) === 0 ? "applied" : "notApplied");
        }
        try {
          return await process.tree.write(command);
        } catch (error) {
          if (isMusterError(error, "outcomeUnknown")) unknown++;
          else if (!(isMusterError(error, "compareFailed") || isMusterError(error, "nodeExists"))) throw error;
          return undefined;
        }
      };
      const worker = async (process: Process) => {
        for (let round = 0; round < rounds; round++) {
          const { node } = await process.tree.get(parsePath("/n"), PLAIN);
          const condition = { prevIndex: node.modifiedIndex };
          const counter = { path: parsePath("/n"), value: utf8("x"), condition, expiry: NEVER, refresh: false };
          if ((await attempt(process, { kind: "compareAndSwap", ...counter })) !== undefined) swapped++;
          const path = parsePath(`/once/${round}`);
          const made = await attempt(process, { kind: "create", path, content: FILE, expiry: NEVER });
          if (made !== undefined) created.push(path);
          const queue = parsePath("/q");
          const named = await attempt(process, { kind: "createInOrder", path: queue, content: FILE, expiry: NEVER });
          if (named !== undefined) names.push({ name: named.node.path, index: named.index });
        }
      };
      await world.store.beside(20, async () => {
        await Promise.all(world.processes.flatMap((process) => [worker(process), worker(process)]));
      });
      expect(new Set(created).size).toBe(created.length);
      const once = await world.pick().tree.get(parsePath("/once"), PLAIN);
      expect([...(once.node.kind === "directory" ? (once.node.nodes ?? []) : [])]).toHaveLength(rounds);
      expect(names.length).toBeGreaterThan(rounds);
      const byIndex = [...names].sort((a, b) => a.index - b.index).map(({ name }) => name);
      expect(byIndex).toEqual([...byIndex].sort());
      expect(new Set(byIndex).size).toBe(names.length);
      const { kvs } = await world.store.engine.range({ key: utf8("/n") });
      const versions = (kvs[0]?.version ?? 0) - 1;
      expect(versions).toBeGreaterThanOrEqual(swapped);
      expect(versions).toBeLessThanOrEqual(swapped + unknown);
    });
  });
});
