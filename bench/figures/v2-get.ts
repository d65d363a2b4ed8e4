/** GET of one key by the v2 API. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { CONNECTIONS, httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { KEYS, setsIn, VALUE_BYTES } from "../lib/v2-keys.ts";
import { Load } from "../load/load.ts";
import { startEtcd } from "../peers/etcd.ts";
import { startMuster } from "../peers/muster.ts";

const DIRECTORY = "/bench";
const KEY = `${DIRECTORY}/00000000`;

export const v2Get: Figure = { name: "v2-get", needsEtcd: true, run };

async function run({ scale, scratch, etcd }: Context): Promise<FigureResult[]> {
  if (etcd === undefined) return [];
  await using load = await Load.start();
  await using muster = await startMuster(scratch.directory("muster"), { listener: "client" });
  await using peer = await startEtcd(etcd, scratch.directory("etcd"));
  for (const server of [muster, peer])
    await measureHttp({ load, server }, { requests: setsIn(DIRECTORY, 1), count: 1 });
  const requests = { kind: "same", method: "GET", path: KEYS + KEY } as const;
  const [ours = [], theirs = []] = await alternate(
    [muster, peer].map((server) => ({
      name: server.url,
      measure: () => measureHttp({ load, server }, { requests, limitMs: scale.roundMs }),
    })),
    scale,
  );
  return [
    {
      title: "v2 GET of one key",
      conditions:
        `GET ${KEYS}${KEY}, a value of ${VALUE_BYTES} bytes that nobody writes meanwhile; ${CONNECTIONS} keep-alive connections of ` +
        `one client process, ${scale.rounds} rounds of ${scale.roundMs} ms each.`,
      rows: [httpRow("Muster", ours), httpRow("etcd", theirs)],
      ratios: [
        {
          label: "Muster / etcd, requests/s",
          values: ratios(rates(ours), rates(theirs)),
          required: { atLeast: 1.1 },
        },
      ],
    },
  ];
}
