/** Range of one key by gRPC. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { httpRow, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { clientsOf, clientsText, fillKeys, KEY, KEYS_TEXT, measureGrpc, v3Peers } from "../lib/v3-measure.ts";
import { Load } from "../load/load.ts";

const CLIENTS = clientsOf(64);

export const v3Range: Figure = { name: "v3-range", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  const { scale, etcd: debian } = context;
  if (debian === undefined) return [];
  const peers = await v3Peers(context, debian);
  await using load = await Load.start();
  await using muster = await peers.muster();
  await using etcd = await peers.etcd();
  for (const server of [muster, etcd]) await fillKeys(load, server);
  const job = { ...CLIENTS, call: { kind: "range", key: KEY }, limitMs: scale.roundMs } as const;
  const [ours = [], theirs = []] = await alternate(
    [muster, etcd].map((server) => ({ name: server.url, measure: () => measureGrpc({ load, server }, job) })),
    scale,
  );
  return [
    {
      title: `v3 Range of one key: ${CLIENTS.clients} clients, ${CLIENTS.connections} connections`,
      conditions:
        `Linearizable ranges of ${KEY}, one of ${KEYS_TEXT}, which nobody writes meanwhile; ${clientsText(CLIENTS)}, of one ` +
        `client process; ${scale.rounds} rounds of ${scale.roundMs} ms each.`,
      rows: [httpRow("Muster", ours), httpRow(`etcd ${peers.version}`, theirs)],
      ratios: [
        {
          label: "Muster / etcd, requests/s",
          values: ratios(rates(ours), rates(theirs)),
          required: { atLeast: 0.8 },
          aim: { atLeast: 1.2 },
        },
      ],
    },
  ];
}
