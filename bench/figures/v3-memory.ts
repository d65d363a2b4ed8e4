/** Resident memory of both servers: with nothing, with keys, and with many who watch. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { memoryOf } from "../lib/process-stats.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { fillKeys, KEY, KEYS, KEYS_TEXT, VALUE_BYTES, v3Peers } from "../lib/v3-measure.ts";
import { Load } from "../load/load.ts";
import type { Server } from "../peers/server.ts";

const STREAMS = 10;

/** How long memory settles before it is looked at: what was made for a moment is freed. */
const SETTLING_MS = 2_000;

export const v3Memory: Figure = { name: "v3-memory", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  const { scale, etcd: debian } = context;
  if (debian === undefined) return [];
  const peers = await v3Peers(context, debian);
  await using load = await Load.start();
  const watchersEach = Math.ceil(Math.max(...scale.waiters) / STREAMS);
  const watchers = watchersEach * STREAMS;
  const resident = async (server: Server) => {
    await sleep(Math.min(SETTLING_MS, scale.roundMs));
    return (await memoryOf(server.pid)).resident;
  };
  const measured = async (server: Server) => {
    await using running = server;
    const empty = await resident(running);
    await fillKeys(load, running);
    const filled = await resident(running);
    await load.watch({ url: running.url, key: KEY, valueBytes: VALUE_BYTES, connections: STREAMS, watchersEach });
    const watched = await resident(running);
    await load.unwatch();
    return { empty, filled, watched };
  };
  const [ours = [], theirs = []] = await alternate(
    [
      { name: "Muster", measure: async () => measured(await peers.muster()) },
      { name: "etcd", measure: async () => measured(await peers.etcd()) },
    ],
    scale,
  );
  const of = (side: typeof ours, what: keyof (typeof ours)[number]) => side.map((measure) => measure[what]);
  const keys = `${KEYS.toLocaleString("en")} keys put`;
  const watches = `and ${watchers.toLocaleString("en")} watches`;
  return [
    {
      title: "v3: resident memory",
      conditions:
        `A process started for the round; after its start, after ${KEYS_TEXT} were put by 64 clients, and with ${watchers.toLocaleString("en")} ` +
        `watches of one key on ${STREAMS} connections besides; ${scale.rounds} rounds.`,
      rows: [
        { label: "Muster, empty", values: of(ours, "empty"), unit: "MiB" },
        { label: `etcd ${peers.version}, empty`, values: of(theirs, "empty"), unit: "MiB" },
        { label: `Muster, ${keys}`, values: of(ours, "filled"), unit: "MiB" },
        { label: `etcd, ${keys}`, values: of(theirs, "filled"), unit: "MiB" },
        { label: `Muster, ${watches}`, values: of(ours, "watched"), unit: "MiB" },
        { label: `etcd, ${watches}`, values: of(theirs, "watched"), unit: "MiB" },
      ],
      ratios: [{ label: "Muster / etcd, at the end", values: ratios(of(ours, "watched"), of(theirs, "watched")) }],
    },
  ];
}
