/** Many long polls on one key: what each costs while it waits, and how soon the last is told. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { memoryOf } from "../lib/process-stats.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { KEYS, VALUE_BODY, VALUE_BYTES } from "../lib/v2-keys.ts";
import { Load } from "../load/load.ts";
import { startBareWaits } from "../peers/bare-server.ts";
import { startEtcd } from "../peers/etcd.ts";
import { startMuster } from "../peers/muster.ts";
import type { Server } from "../peers/server.ts";

const KEY = "/bench/awaited";

/** Polls of a process that has just started: they bring in what the first of anything costs. */
const WARM_UP_POLLS = 100;

/** How long memory settles before it is looked at: what was freed is given back, what was made for a moment is freed. */
const SETTLING_MS = 2_000;

/** Muster takes 10,000 by default; there is one more who writes. */
const MAX_CONNECTIONS = 15_000;

export const v2Polls: Figure = { name: "v2-polls", needsEtcd: true, run };

interface Measure {
  readonly bytesEach: number;
  readonly writtenMs: number;
  readonly lastMs: number;
}

async function run({ scale, scratch, etcd }: Context): Promise<FigureResult[]> {
  if (etcd === undefined) return [];
  await using load = await Load.start();
  const { polls } = scale;
  const settlingMs = Math.min(SETTLING_MS, scale.roundMs);
  const measured = async (server: Server): Promise<Measure> => {
    await using running = server;
    const wait = (waiters: number) => load.wait({ url: running.url, waiters, waitPath: `${KEYS}${KEY}?wait=true` });
    const wake = () => load.wake({ path: KEYS + KEY, body: VALUE_BODY });
    await wait(WARM_UP_POLLS);
    await wake();
    await sleep(settlingMs);
    const before = await memoryOf(running.pid);
    await wait(polls);
    await sleep(settlingMs);
    const after = await memoryOf(running.pid);
    const { writtenMs, lastMs } = await wake();
    return { bytesEach: ((after.resident - before.resident) * 2 ** 20) / polls, writtenMs, lastMs };
  };
  const muster = { listener: "client", maxConnections: MAX_CONNECTIONS } as const;
  const [ours = [], bares = [], theirs = []] = await alternate(
    [
      { name: "Muster", measure: async () => measured(await startMuster(scratch.directory("muster"), muster)) },
      { name: "bare", measure: async () => measured(await startBareWaits(scratch.directory("bare"))) },
      { name: "etcd", measure: async () => measured(await startEtcd(etcd, scratch.directory("etcd"))) },
    ],
    scale,
  );
  const bytes = (side: readonly Measure[]) => side.map(({ bytesEach }) => bytesEach);
  const last = (side: readonly Measure[]) => side.map(({ lastMs }) => lastMs);
  const written = (side: readonly Measure[]) => side.map(({ writtenMs }) => writtenMs);
  const named = polls.toLocaleString("en");
  const common =
    `GET ${KEYS}${KEY}?wait=true on ${named} connections, in a process started for the round in which ${WARM_UP_POLLS} have waited before; ` +
    `${scale.rounds} rounds.`;
  return [
    {
      title: `${named} long polls on one key: memory`,
      conditions:
        `${common} Resident memory when all wait, less what it was before, for each of them; looked at ${settlingMs} ms after the last of ` +
        "them stands (the client's memory is another process's). The bare server sends the same headers and holds the responses in an array.",
      rows: [
        { label: "Muster", values: bytes(ours), unit: "bytes a poll" },
        { label: "bare node:http", values: bytes(bares), unit: "bytes a poll" },
        { label: "etcd", values: bytes(theirs), unit: "bytes a poll" },
      ],
      ratios: [
        { label: "Muster / bare, memory", values: ratios(bytes(ours), bytes(bares)), required: { atMost: 1.3 } },
        { label: "Muster / etcd, memory", values: ratios(bytes(ours), bytes(theirs)), required: { atMost: 1 } },
      ],
    },
    {
      title: `${named} long polls on one key: time to tell them`,
      conditions:
        `${common} From sending the PUT of ${VALUE_BYTES} bytes (durable, but for the bare server's) until the last has its whole answer. The ` +
        "client reads them all on one thread, which bounds all sides.",
      rows: [
        { label: "Muster", values: last(ours), unit: "ms" },
        { label: "bare node:http", values: last(bares), unit: "ms" },
        { label: "etcd", values: last(theirs), unit: "ms" },
        { label: "Muster: until the PUT is answered", values: written(ours), unit: "ms" },
        { label: "etcd: until the PUT is answered", values: written(theirs), unit: "ms" },
      ],
      ratios: [
        { label: "Muster / etcd, time", values: ratios(last(ours), last(theirs)), required: { atMost: 1 } },
        { label: "Muster / bare, time", values: ratios(last(ours), last(bares)) },
      ],
    },
  ];
}
