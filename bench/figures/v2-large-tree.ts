/** Very many v2 keys: a look at the root above them, and memory, disk and start-up with them in the store. */
import type { Context, Figure, FigureResult, Row } from "../lib/figure.ts";
import { diskMiB } from "../lib/fill.ts";
import { CONNECTIONS, httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { memoryOf } from "../lib/process-stats.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { KEYS, keysIn, setsIn } from "../lib/v2-keys.ts";
import { Load } from "../load/load.ts";
import { startEtcd } from "../peers/etcd.ts";
import { startMuster } from "../peers/muster.ts";
import type { Server } from "../peers/server.ts";

const DIRECTORY = "/many";

/** Enough for both to commit many sets at a time. */
const FILLERS = 256;

export const v2LargeTree: Figure = { name: "v2-large-tree", needsEtcd: true, run };

interface Store {
  readonly directory: string;
  readonly start: () => Promise<Server>;
}

interface Stores {
  readonly muster: Store;
  readonly etcd: Store;
}

async function run({ scale, scratch, etcd }: Context): Promise<FigureResult[]> {
  if (etcd === undefined) return [];
  const ours = scratch.directory("muster");
  const theirs = scratch.directory("etcd");
  const stores: Stores = {
    muster: { directory: ours, start: () => startMuster(ours, { listener: "client" }) },
    etcd: { directory: theirs, start: () => startEtcd(etcd, theirs) },
  };
  const keys = scale.largeTree;
  const look = await fillAndLook(stores, { keys, scale });
  return [look, await restart(stores, { keys, scale })];
}

interface Measuring extends Pick<Context, "scale"> {
  readonly keys: number;
}

async function fillAndLook(stores: Stores, { keys, scale }: Measuring): Promise<FigureResult> {
  await using load = await Load.start();
  await using muster = await stores.muster.start();
  await using peer = await stores.etcd.start();
  const fill = async (name: string, server: Server): Promise<Row[]> => {
    const sets = { requests: setsIn(DIRECTORY, keys), count: keys, connections: FILLERS };
    const { perSecond } = await measureHttp({ load, server }, sets);
    const { resident } = await memoryOf(server.pid);
    return [
      { label: `${name}: filling it`, values: [perSecond], unit: "requests/s" },
      { label: `${name}: resident memory when filled`, values: [resident], unit: "MiB" },
    ];
  };
  const filled = [...(await fill("Muster", muster)), ...(await fill("etcd", peer))];
  const requests = { kind: "same", method: "GET", path: `${KEYS}/` } as const;
  const [ours = [], theirs = []] = await alternate(
    [muster, peer].map((server) => ({
      name: server.url,
      measure: () => measureHttp({ load, server }, { requests, limitMs: scale.roundMs }),
    })),
    scale,
  );
  return {
    title: `v2 GET ${KEYS}/ with ${keys.toLocaleString("en")} keys under its one child`,
    conditions:
      `${keysIn(DIRECTORY, keys)}, written by ${FILLERS} connections; then ${CONNECTIONS} keep-alive connections of one client process, ` +
      `${scale.rounds} rounds of ${scale.roundMs} ms each.`,
    rows: [httpRow("Muster", ours), httpRow("etcd", theirs), ...filled],
    ratios: [{ label: "Muster / etcd, requests/s", values: ratios(rates(ours), rates(theirs)) }],
  };
}

async function restart(stores: Stores, { keys, scale }: Measuring): Promise<FigureResult> {
  const [ours = [], theirs = []] = await alternate(
    [stores.muster, stores.etcd].map((store) => ({
      name: store.directory,
      measure: async () => {
        await using server = await store.start();
        return { startUpMs: server.startUpMs, ...(await memoryOf(server.pid)) };
      },
    })),
    scale,
  );
  const sides = [
    { name: "Muster", measures: ours, disk: diskMiB(stores.muster.directory) },
    { name: "etcd", measures: theirs, disk: diskMiB(stores.etcd.directory) },
  ];
  const startUps = (side: typeof ours) => side.map(({ startUpMs }) => startUpMs);
  const resident = (side: typeof ours) => side.map((measure) => measure.resident);
  return {
    title: `${keys.toLocaleString("en")} v2 keys: start-up, memory, disk`,
    conditions:
      `${keysIn(DIRECTORY, keys)}, each written once. From starting the program again until GET /health is answered 200, the files in the ` +
      `page cache; memory right after; ${scale.rounds} rounds. etcd first elects itself, which takes it about a second.`,
    rows: [
      ...sides.map(({ name, measures }) => ({ label: `start-up, ${name}`, values: startUps(measures), unit: "ms" })),
      ...sides.map(({ name, measures }) => ({
        label: `resident memory, ${name}`,
        values: resident(measures),
        unit: "MiB",
      })),
      ...sides.map(({ name, measures }) => ({
        label: `memory of its own, ${name}`,
        values: measures.map(({ own }) => own),
        unit: "MiB",
      })),
      ...sides.map(({ name, disk }) => ({ label: `disk, ${name}`, values: [disk], unit: "MiB" })),
    ],
    ratios: [
      { label: "Muster / etcd, start-up", values: ratios(startUps(ours), startUps(theirs)) },
      { label: "Muster / etcd, resident memory", values: ratios(resident(ours), resident(theirs)) },
    ],
  };
}
