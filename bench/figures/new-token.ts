/** /new, durable, against the write that the original discovery service made of it on etcd. */
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { CONNECTIONS, httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { Load } from "../load/load.ts";
import { startBareStore } from "../peers/bare-store.ts";
import { ETCD_REGISTRY, startEtcd } from "../peers/etcd.ts";
import { startMuster } from "../peers/muster.ts";

const SIZE = 3;

/** Keys that etcd gets for a second of a round; were it faster, its round would only be shorter. */
const KEYS_PER_SECOND = 40_000;

export const newToken: Figure = { name: "new-token", needsEtcd: true, run };

async function run({ scale, scratch, etcd }: Context): Promise<FigureResult[]> {
  if (etcd === undefined) return [];
  await using load = await Load.start();
  await using muster = await startMuster(scratch.directory("muster"));
  await using peer = await startEtcd(etcd, scratch.directory("etcd"));
  await using bare = await startBareStore(scratch.directory("bare"));
  const limitMs = scale.roundMs;
  const make = { kind: "same", method: "GET", path: `/new?size=${SIZE}` } as const;
  const [ours = [], bares = [], theirs = []] = await alternate(
    [
      { name: "Muster", measure: () => measureHttp({ load, server: muster }, { requests: make, limitMs }) },
      { name: "bare", measure: () => measureHttp({ load, server: bare }, { requests: make, limitMs }) },
      {
        name: "etcd",
        measure: (round) => {
          const paths = sizePaths(round, (KEYS_PER_SECOND * limitMs) / 1000);
          const requests = { kind: "listed", method: "PUT", paths, body: `value=${SIZE}` } as const;
          return measureHttp({ load, server: peer }, { requests, limitMs });
        },
      },
    ],
    scale,
  );
  return [
    {
      title: `/new?size=${SIZE}, durable`,
      conditions:
        `Muster: GET /new?size=${SIZE}. etcd: PUT ${ETCD_REGISTRY}/TOKEN/_config/size with the value ${SIZE}, a new token each, ` +
        `as the original service did. ${CONNECTIONS} keep-alive connections of one client process, ${scale.rounds} rounds of ${limitMs} ms each.`,
      rows: [httpRow("Muster", ours), httpRow("node:http and one LMDB put", bares), httpRow("etcd", theirs)],
      ratios: [
        {
          label: "Muster / etcd, requests/s",
          values: ratios(rates(ours), rates(theirs)),
          required: { atLeast: 1.3 },
          aim: { atLeast: 2 },
        },
        // What a server on node:http and LMDB could reach at all.
        { label: "one LMDB put / etcd, requests/s", values: ratios(rates(bares), rates(theirs)) },
        { label: "Muster / one LMDB put, requests/s", values: ratios(rates(ours), rates(bares)) },
      ],
    },
  ];
}

function sizePaths(round: number, count: number): string[] {
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");
  const salt = hex(round + 1000, 16);
  return Array.from({ length: count }, (_, place) => `${ETCD_REGISTRY}/${salt}${hex(place, 16)}/_config/size`);
}
