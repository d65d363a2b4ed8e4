/** Durable puts on the embedded engine itself, by how many callers put at a time. */
import * as z from "zod";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { alternate } from "../lib/rounds.ts";
import { runScript } from "../lib/script.ts";

const CALLERS: readonly number[] = [1, 16, 64, 256];

const outcome = z.object({ perSecond: z.number(), p50Ms: z.number(), p99Ms: z.number(), heldMs: z.number() });

export const enginePuts: Figure = { name: "engine-puts", needsEtcd: false, run: measure };

async function measure({ scale, scratch }: Context): Promise<FigureResult[]> {
  const sides = CALLERS.map((callers) => ({
    name: String(callers),
    measure: async () => {
      const directory = scratch.directory("engine");
      const stdout = await runScript("figures/engine-puts-main", [directory, callers, scale.roundMs]);
      scratch.remove(directory);
      return outcome.parse(JSON.parse(stdout));
    },
  }));
  const measures = await alternate(sides, scale);
  const rowsOf = (callers: number, side: readonly z.infer<typeof outcome>[]) => [
    { label: `${callers} callers`, values: side.map(({ perSecond }) => perSecond), unit: "puts/s" },
    { label: `${callers} callers, p50`, values: side.map(({ p50Ms }) => p50Ms), unit: "ms" },
    { label: `${callers} callers, p99`, values: side.map(({ p99Ms }) => p99Ms), unit: "ms" },
    { label: `${callers} callers, event loop held up to`, values: side.map(({ heldMs }) => heldMs), unit: "ms" },
  ];
  return [
    {
      title: "Durable puts on the engine, without HTTP",
      conditions: `A put of 100 bytes to a key each, in the process of the engine; a process and a store for each round of ${scale.roundMs} ms; ${scale.rounds} rounds.`,
      rows: CALLERS.flatMap((callers, place) => rowsOf(callers, measures[place] ?? [])),
      ratios: [],
    },
  ];
}
