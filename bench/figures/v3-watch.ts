/** How soon one who watches a key by gRPC is told of a put, and how many events a second very many are told. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { cpuTimeMs } from "../lib/process-stats.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios, shown, spreadOf } from "../lib/statistics.ts";
import { type Peers, VALUE_BYTES, v3Peers } from "../lib/v3-measure.ts";
import { Load } from "../load/load.ts";
import type { Server } from "../peers/server.ts";

const KEY = "/bench/watched";

/** Streams that very many watches are on, each with a connection of its own: clientv3 puts a client's on one. */
const STREAMS = 10;

/** How long a put is reckoned to take, one after the other and when many are told of it. */
const ONE_BY_ONE_MS = 10;
const AT_ONCE_MS = 15;

export const v3Watch: Figure = { name: "v3-watch", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  if (context.etcd === undefined) return [];
  const peers = await v3Peers(context, context.etcd);
  await using load = await Load.start();
  await using muster = await peers.muster();
  await using etcd = await peers.etcd();
  const sides = { load, servers: [muster, etcd], version: peers.version };
  return [await latency(context, sides), await throughput(context, sides)];
}

interface Sides extends Pick<Peers, "version"> {
  readonly load: Load;
  readonly servers: readonly Server[];
}

async function latency({ scale }: Context, { load, servers, version }: Sides): Promise<FigureResult> {
  const puts = Math.ceil(scale.roundMs / ONE_BY_ONE_MS);
  const [ours = [], theirs = []] = await alternate(
    servers.map((server) => ({
      name: server.url,
      measure: async () => {
        await load.watch({ url: server.url, key: KEY, valueBytes: VALUE_BYTES, connections: 1, watchersEach: 1 });
        const { told, answered } = await load.tell({ puts, oneByOne: true });
        await load.unwatch();
        return { told: spreadOf(told).median, answered: spreadOf(answered).median };
      },
    })),
    scale,
  );
  const told = (side: typeof ours) => side.map((measure) => measure.told);
  const answered = (side: typeof ours) => side.map((measure) => measure.answered);
  return {
    title: "v3 Watch: from a put to its event",
    conditions:
      `One watch of ${KEY}, ${puts} durable puts of ${VALUE_BYTES} bytes to it by another connection, each when the one before was told; ` +
      `from sending a put until its event has come: the median of them; ${scale.rounds} rounds.`,
    rows: [
      { label: "Muster", values: told(ours), unit: "ms" },
      { label: `etcd ${version}`, values: told(theirs), unit: "ms" },
      { label: "Muster: until the put is answered", values: answered(ours), unit: "ms" },
      { label: "etcd: until the put is answered", values: answered(theirs), unit: "ms" },
    ],
    ratios: [{ label: "Muster / etcd, time", values: ratios(told(ours), told(theirs)) }],
  };
}

async function throughput({ scale }: Context, { load, servers, version }: Sides): Promise<FigureResult> {
  const watchersEach = Math.ceil(Math.max(...scale.waiters) / STREAMS);
  const watchers = watchersEach * STREAMS;
  const puts = Math.ceil(scale.roundMs / AT_ONCE_MS);
  const [ours = [], theirs = []] = await alternate(
    servers.map((server) => ({
      name: server.url,
      measure: async () => {
        await load.watch({ url: server.url, key: KEY, valueBytes: VALUE_BYTES, connections: STREAMS, watchersEach });
        const before = await cpuTimeMs(server.pid);
        const { elapsedMs, cpuMs, events } = await load.tell({ puts, oneByOne: false });
        const serverMs = (await cpuTimeMs(server.pid)) - before;
        await load.unwatch();
        return {
          perSecond: (events * 1000) / elapsedMs,
          serverUs: (serverMs * 1000) / events,
          clientShare: cpuMs / elapsedMs,
        };
      },
    })),
    scale,
  );
  const perSecond = (side: typeof ours) => side.map((measure) => measure.perSecond);
  const row = (label: string, side: typeof ours) => {
    const cost = shown(spreadOf(side.map(({ serverUs }) => serverUs)).median);
    const client = Math.round(spreadOf(side.map(({ clientShare }) => clientShare)).median * 100);
    const note = `${cost} µs of processor time each; client ${client} % of a core`;
    return { label, values: perSecond(side), unit: "events/s", note };
  };
  return {
    title: `v3 Watch: events to ${watchers.toLocaleString("en")} watchers of one key`,
    conditions:
      `${watchers.toLocaleString("en")} watches of ${KEY} on ${STREAMS} streams, each on a connection of its own; ${puts} durable puts of ` +
      `${VALUE_BYTES} bytes to it, eight under way at a time; until the last watch was told of the last; ${scale.rounds} rounds.`,
    rows: [row("Muster", ours), row(`etcd ${version}`, theirs)],
    ratios: [{ label: "Muster / etcd, events/s", values: ratios(perSecond(ours), perSecond(theirs)) }],
  };
}
