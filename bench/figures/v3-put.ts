/** Durable puts by gRPC, at one, few and many clients. */
import type { Context, Figure, FigureResult, Ratio } from "../lib/figure.ts";
import { httpRow, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import {
  type Clients,
  clientsOf,
  clientsText,
  fillKeys,
  KEYS_TEXT,
  measureGrpc,
  PUTS,
  v3Peers,
} from "../lib/v3-measure.ts";
import { Load } from "../load/load.ts";
import type { Server } from "../peers/server.ts";

type Shape = Clients & Pick<Ratio, "required" | "aim">;

const WANTED = { required: { atLeast: 0.8 }, aim: { atLeast: 1.2 } } as const;

/** How many put at a time, and what Muster is to reach there. */
const SHAPES: readonly Shape[] = [
  clientsOf(1),
  { ...clientsOf(64), ...WANTED },
  { clients: 64, connections: 64 },
  { ...clientsOf(256), ...WANTED },
];

export const v3Put: Figure = { name: "v3-put", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  if (context.etcd === undefined) return [];
  const peers = await v3Peers(context, context.etcd);
  await using load = await Load.start();
  await using muster = await peers.muster();
  await using etcd = await peers.etcd();
  // Every key is there before anything is measured.
  for (const server of [muster, etcd]) await fillKeys(load, server);
  const results: FigureResult[] = [];
  for (const shape of SHAPES) {
    results.push(await putAll(context, shape, { load, servers: [muster, etcd], version: peers.version }));
  }
  return results;
}

interface Sides {
  readonly load: Load;
  readonly servers: readonly Server[];
  readonly version: string;
}

async function putAll({ scale }: Context, shape: Shape, { load, servers, version }: Sides): Promise<FigureResult> {
  const { clients, connections, ...wanted } = shape;
  const [ours = [], theirs = []] = await alternate(
    servers.map((server) => ({
      name: server.url,
      measure: () => measureGrpc({ load, server }, { clients, connections, call: PUTS, limitMs: scale.roundMs }),
    })),
    scale,
  );
  return {
    title: `v3 Put, durable: ${clients} ${clients === 1 ? "client" : "clients"}, ${connections} ${connections === 1 ? "connection" : "connections"}`,
    conditions:
      `Puts over and over of ${KEYS_TEXT}, by gRPC; ${clientsText(shape)}, of one client process; ` +
      `${scale.rounds} rounds of ${scale.roundMs} ms each.`,
    rows: [httpRow("Muster", ours), httpRow(`etcd ${version}`, theirs)],
    ratios: [{ label: "Muster / etcd, requests/s", values: ratios(rates(ours), rates(theirs)), ...wanted }],
  };
}
