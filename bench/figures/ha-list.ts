/** Looking at the root of a keyspace in etcd with very many keys under one child of it. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { startHaSides } from "../lib/ha-sides.ts";
import { httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { KEYS } from "../lib/v2-keys.ts";
import { clientsOf, VALUE_BYTES } from "../lib/v3-measure.ts";
import { Load } from "../load/load.ts";

/** What a small keyspace has. */
const FEW = 10;

const FILLERS = 256;
const CLIENTS = 8;

export const haList: Figure = { name: "ha-list", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  const { etcd, scale } = context;
  if (etcd === undefined) return [];
  await using load = await Load.start();
  await using large = await startHaSides(context, etcd, { listener: "client" });
  await using small = await startHaSides(context, etcd, { listener: "client" });
  const filled = [
    { sides: large, keys: scale.largeTree },
    { sides: small, keys: FEW },
  ];
  for (const { sides, keys } of filled) {
    const call = { kind: "put", prefix: "/many/", keys, valueBytes: VALUE_BYTES } as const;
    await load.grpc({ url: sides.etcd.url, ...clientsOf(FILLERS), call, count: keys });
  }
  const requests = { kind: "same", method: "GET", path: `${KEYS}/` } as const;
  const [many = [], few = []] = await alternate(
    filled.map(({ sides: { muster } }) => ({
      name: muster.url,
      measure: () => measureHttp({ load, server: muster }, { requests, limitMs: scale.roundMs, connections: CLIENTS }),
    })),
    scale,
  );
  const named = scale.largeTree.toLocaleString("en");
  return [
    {
      title: `Over etcd: v2 GET ${KEYS}/ with ${named} keys under its one child`,
      conditions:
        `Keys /many/00000000 and on, put into one etcd ${large.version} directly, each with a value of ${VALUE_BYTES} bytes; then ${CLIENTS} keep-alive ` +
        `connections of one client process through a Muster over it, ${scale.rounds} rounds of ${scale.roundMs} ms each.`,
      rows: [httpRow(`${named} keys`, many), httpRow(`${FEW} keys`, few)],
      ratios: [{ label: `${named} keys / ${FEW} keys, requests/s`, values: ratios(rates(many), rates(few)) }],
    },
  ];
}
