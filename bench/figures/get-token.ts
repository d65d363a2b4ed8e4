/** GET /TOKEN against a bare node:http server that gives the same answer. */
import { makeTokens, memberId, registerMembers } from "../lib/clusters.ts";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { CONNECTIONS, httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { Load } from "../load/load.ts";
import { type FixedAnswer, startBareServer } from "../peers/bare-server.ts";
import { startMuster } from "../peers/muster.ts";

const MEMBERS = 3;

/** What node:http adds by itself, to both. */
const ADDED_BY_NODE: readonly string[] = ["date", "connection", "keep-alive"];

export const getToken: Figure = { name: "get-token", needsEtcd: false, run };

async function run({ scale, scratch }: Context): Promise<FigureResult[]> {
  await using load = await Load.start();
  await using muster = await startMuster(scratch.directory("muster"));
  const [token = ""] = await makeTokens({ load, muster }, { count: 1, size: MEMBERS });
  await registerMembers({ load, server: muster, prefix: "" }, { token, members: MEMBERS });
  const answer = await answerOf(`${muster.url}/${token}`);
  await using bare = await startBareServer(answer, scratch.directory("bare"));
  const requests = { kind: "same", method: "GET", path: `/${token}` } as const;
  const [ours = [], bares = []] = await alternate(
    [muster, bare].map((server) => ({
      name: server.url,
      measure: () => measureHttp({ load, server }, { requests, limitMs: scale.roundMs }),
    })),
    scale,
  );
  return [
    {
      title: "GET /TOKEN",
      conditions:
        `A token with ${MEMBERS} members (IDs of ${memberId(0).length} digits); ${Buffer.byteLength(answer.body)} bytes of JSON ` +
        `and ${Object.keys(answer.headers).length + ADDED_BY_NODE.length} headers, from the bare server the same; ` +
        `${CONNECTIONS} keep-alive connections of one client process, ${scale.rounds} rounds of ${scale.roundMs} ms each.`,
      rows: [httpRow("Muster", ours), httpRow("bare node:http", bares)],
      ratios: [
        {
          label: "Muster / bare, requests/s",
          values: ratios(rates(ours), rates(bares)),
          required: { atLeast: 0.6 },
          aim: { atLeast: 0.8 },
        },
        {
          label: "bare / Muster, processor time of a request",
          values: ratios(
            bares.map(({ serverUs }) => serverUs),
            ours.map(({ serverUs }) => serverUs),
          ),
        },
      ],
    },
  ];
}

async function answerOf(url: string): Promise<FixedAnswer> {
  const response = await fetch(url);
  const body = await response.text();
  const headers = [...response.headers].filter(([name]) => !ADDED_BY_NODE.includes(name));
  return { headers: Object.fromEntries(headers), body };
}
