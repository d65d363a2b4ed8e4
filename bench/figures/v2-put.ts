/** Durable sets by the v2 API, at few and at many connections. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { keysIn, setsIn } from "../lib/v2-keys.ts";
import { Load } from "../load/load.ts";
import { startEtcd } from "../peers/etcd.ts";
import { startMuster } from "../peers/muster.ts";
import type { Server } from "../peers/server.ts";

const DIRECTORY = "/bench";
const SET_KEYS = 10_000;

/** How many set at a time, and what Muster is to reach there. */
const SHAPES = [
  { connections: 64, required: { atLeast: 1.3 } },
  { connections: 256, required: { atLeast: 1.5 } },
] as const;

export const v2Put: Figure = { name: "v2-put", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  const { scratch, etcd } = context;
  if (etcd === undefined) return [];
  await using load = await Load.start();
  await using muster = await startMuster(scratch.directory("muster"), { listener: "client" });
  await using peer = await startEtcd(etcd, scratch.directory("etcd"));
  const servers = [muster, peer];
  // Every key is there before anything is measured.
  for (const server of servers) {
    await measureHttp({ load, server }, { requests: setsIn(DIRECTORY, SET_KEYS), count: SET_KEYS });
  }
  const results: FigureResult[] = [];
  for (const shape of SHAPES) results.push(await setAll(context, { load, servers }, shape));
  return results;
}

async function setAll(
  { scale }: Context,
  { load, servers }: { readonly load: Load; readonly servers: readonly Server[] },
  { connections, required }: (typeof SHAPES)[number],
): Promise<FigureResult> {
  const job = { requests: setsIn(DIRECTORY, SET_KEYS), connections };
  const [ours = [], theirs = []] = await alternate(
    servers.map((server) => ({
      name: server.url,
      measure: () => measureHttp({ load, server }, { ...job, limitMs: scale.roundMs }),
    })),
    scale,
  );
  return {
    title: `v2 PUT, durable, ${connections} connections`,
    conditions:
      `Plain sets over and over of ${keysIn(DIRECTORY, SET_KEYS)}; ${connections} keep-alive connections of one client process, ` +
      `${scale.rounds} rounds of ${scale.roundMs} ms each.`,
    rows: [httpRow("Muster", ours), httpRow("etcd", theirs)],
    ratios: [
      {
        label: "Muster / etcd, requests/s",
        values: ratios(rates(ours), rates(theirs)),
        required,
        aim: { atLeast: 2 },
      },
    ],
  };
}
