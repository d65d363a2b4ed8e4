/** How many long polls one Muster over etcd holds over its few watches there, and what each takes. */
import { readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { startHaSides } from "../lib/ha-sides.ts";
import { memoryOf } from "../lib/process-stats.ts";
import { alternate } from "../lib/rounds.ts";
import { KEYS, VALUE_BODY } from "../lib/v2-keys.ts";
import { Load } from "../load/load.ts";

const KEY = "/bench/awaited";

/** Of the polls of an embedded store: a process may have 20,000 descriptors here. */
const POLLS_SHARE = 1.5;

/** Polls of a process that has just started: they bring in what the first of anything costs. */
const WARM_UP_POLLS = 100;
const SETTLING_MS = 2_000;
const MAX_CONNECTIONS = 19_000;

/** What is asked about. */
const WANTED_POLLS = 100_000;

export const haPolls: Figure = { name: "ha-polls", needsEtcd: true, run };

interface Measure {
  readonly bytesEach: number;
  readonly resident: number;
  readonly descriptors: number;
  readonly watches: number;
  readonly etcdBytesEach: number;
  readonly writtenMs: number;
  readonly lastMs: number;
}

async function run(context: Context): Promise<FigureResult[]> {
  const { scale, etcd } = context;
  if (etcd === undefined) return [];
  await using load = await Load.start();
  const polls = Math.round(scale.polls * POLLS_SHARE);
  const settlingMs = Math.min(SETTLING_MS, scale.roundMs);
  let version = "";
  const measure = async (): Promise<Measure> => {
    await using sides = await startHaSides(context, etcd, { listener: "client", maxConnections: MAX_CONNECTIONS });
    version = sides.version;
    const { muster } = sides;
    const wait = (waiters: number) => load.wait({ url: muster.url, waiters, waitPath: `${KEYS}${KEY}?wait=true` });
    const wake = () => load.wake({ path: KEYS + KEY, body: VALUE_BODY });
    await wait(WARM_UP_POLLS);
    await wake();
    await sleep(settlingMs);
    const before = { muster: await memoryOf(muster.pid), etcd: await memoryOf(sides.etcd.pid) };
    await wait(polls);
    await sleep(settlingMs);
    const after = { muster: await memoryOf(muster.pid), etcd: await memoryOf(sides.etcd.pid) };
    const descriptors = (await readdir(`/proc/${muster.pid}/fd`)).length;
    const watches = await watchesOf(sides.etcd.url);
    const { writtenMs, lastMs } = await wake();
    const grown = (side: "muster" | "etcd") => ((after[side].resident - before[side].resident) * 2 ** 20) / polls;
    const { resident } = after.muster;
    return {
      bytesEach: grown("muster"),
      etcdBytesEach: grown("etcd"),
      resident,
      descriptors,
      watches,
      writtenMs,
      lastMs,
    };
  };
  const [measures = []] = await alternate([{ name: "Muster", measure }], scale);
  const values = (pick: (measure: Measure) => number) => measures.map(pick);
  const named = polls.toLocaleString("en");
  const wanted = WANTED_POLLS.toLocaleString("en");
  return [
    {
      title: `Over etcd: ${named} long polls on one Muster`,
      conditions:
        `GET ${KEYS}${KEY}?wait=true on ${named} connections, in a process started for the round in which ${WARM_UP_POLLS} have waited before, over one ` +
        `etcd ${version}; memory is resident memory when all wait, less what it was before; from sending the PUT until the last has its whole answer; ` +
        `${scale.rounds} rounds. For ${wanted}: so many times the bytes of one; a process then needs as many descriptors (LimitNOFILE) and --max-connections.`,
      rows: [
        { label: "Muster's memory", values: values(({ bytesEach }) => bytesEach), unit: "bytes a poll" },
        { label: "Muster's memory in all", values: values(({ resident }) => resident), unit: "MiB" },
        { label: "etcd's memory", values: values(({ etcdBytesEach }) => etcdBytesEach), unit: "bytes a poll" },
        { label: "Muster's descriptors", values: values(({ descriptors }) => descriptors), unit: "descriptors" },
        { label: "watches at etcd", values: values(({ watches }) => watches), unit: "watches" },
        { label: "until the last is told", values: values(({ lastMs }) => lastMs), unit: "ms" },
        { label: "until the PUT is answered", values: values(({ writtenMs }) => writtenMs), unit: "ms" },
        {
          label: `for ${wanted}: memory`,
          values: values(({ bytesEach }) => (bytesEach * WANTED_POLLS) / 2 ** 30),
          unit: "GiB",
          note: "worked out of the bytes of one",
        },
      ],
      ratios: [],
    },
  ];
}

/** By etcd's own count. */
async function watchesOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^etcd_debugging_mvcc_watcher_total (\S+)$/m.exec(text)?.[1]);
}
