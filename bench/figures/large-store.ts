/** Memory, disk and start-up time with many tokens in the store. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { diskMiB, fillStore } from "../lib/fill.ts";
import { memoryOf } from "../lib/process-stats.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { startMuster } from "../peers/muster.ts";

const MEMBERS = 3;

export const largeStore: Figure = { name: "large-store", needsEtcd: false, run };

async function run({ scale, scratch }: Context): Promise<FigureResult[]> {
  const full = scratch.directory("large");
  await fillStore(full, { tokens: scale.largeStore, members: MEMBERS });
  const disk = diskMiB(full);
  const empty = scratch.directory("empty");
  const measures = await alternate(
    [full, empty].map((directory) => ({
      name: directory,
      measure: async () => {
        await using muster = await startMuster(directory);
        return { startUpMs: muster.startUpMs, ...(await memoryOf(muster.pid)) };
      },
    })),
    scale,
  );
  const [large = [], small = []] = measures;
  const startUps = (side: typeof large) => side.map(({ startUpMs }) => startUpMs);
  const resident = (side: typeof large) => side.map((measure) => measure.resident);
  const own = (side: typeof large) => side.map((measure) => measure.own);
  const named = `${scale.largeStore.toLocaleString("en")} tokens`;
  return [
    {
      title: `${named} of ${MEMBERS} members: start-up, memory, disk`,
      conditions:
        `Tokens and members as nodes make them, their history still there (nothing has been compacted). From starting the program ` +
        `until GET /health is answered 200, the file in the page cache; memory right after. ${scale.rounds} rounds.`,
      rows: [
        { label: `start-up, ${named}`, values: startUps(large), unit: "ms" },
        { label: "start-up, empty store", values: startUps(small), unit: "ms" },
        {
          label: `resident memory, ${named}`,
          values: resident(large),
          unit: "MiB",
          note: "pages of the mapped file too",
        },
        { label: "resident memory, empty store", values: resident(small), unit: "MiB" },
        { label: `memory of its own, ${named}`, values: own(large), unit: "MiB" },
        { label: "memory of its own, empty store", values: own(small), unit: "MiB" },
        { label: `disk, ${named}`, values: [disk], unit: "MiB" },
      ],
      ratios: [
        {
          label: `start-up with ${named}, s`,
          values: startUps(large).map((ms) => ms / 1000),
          aim: { atMost: 1 },
        },
        { label: "start-up, full / empty", values: ratios(startUps(large), startUps(small)) },
      ],
    },
  ];
}
