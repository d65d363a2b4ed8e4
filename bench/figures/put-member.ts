/** First registrations of members, durable, against the same writes on etcd. */
import { makeTokens, memberBody, memberId, memberValue, REGISTER } from "../lib/clusters.ts";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { CONNECTIONS, type HttpMeasure, httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { Load } from "../load/load.ts";
import { ETCD_REGISTRY, startEtcd } from "../peers/etcd.ts";
import { startMuster } from "../peers/muster.ts";
import type { Server } from "../peers/server.ts";

const SIZE = 3;

/** The largest size that Muster gives. */
const LARGE_SIZE = 1000;

export const putMember: Figure = { name: "put-member", needsEtcd: true, run };

async function run({ scale, scratch, etcd }: Context): Promise<FigureResult[]> {
  if (etcd === undefined) return [];
  await using load = await Load.start();
  await using muster = await startMuster(scratch.directory("muster"));
  await using peer = await startEtcd(etcd, scratch.directory("etcd"));
  const measurePair = async (shape: Shape) => {
    let paths: readonly string[] = [];
    let made = Number.NaN;
    // Both sides of a round get the same tokens; Muster must know them before they are written to.
    const measure = (server: Server, prefix: string) => async (round: number) => {
      if (round !== made) paths = pathsOf(await makeTokens({ load, muster }, shape), shape);
      made = round;
      const requests = { kind: "listed", method: "PUT", paths: paths.map((path) => prefix + path) } as const;
      return measureHttp({ load, server }, { requests: { ...requests, body: memberBody(1) } });
    };
    return alternate(
      [
        { name: "Muster", measure: measure(muster, "") },
        { name: "etcd", measure: measure(peer, ETCD_REGISTRY) },
      ],
      scale,
    );
  };
  const common =
    `PUT /TOKEN/ID${REGISTER}, on etcd PUT ${ETCD_REGISTRY}/TOKEN/ID${REGISTER}, with the same tokens, IDs of ${memberId(0).length} digits and ` +
    `values of ${memberValue(1).length} bytes (${memberValue(1)}). ${CONNECTIONS} keep-alive connections of one client process, ${scale.rounds} rounds.`;
  const many = { count: scale.clusters, size: SIZE };
  const one = { count: 1, size: LARGE_SIZE };
  const [ours = [], theirs = []] = await measurePair(many);
  const [oursOfOne = [], theirsOfOne = []] = await measurePair(one);
  return [
    {
      title: "PUT of a member, durable, many clusters",
      conditions: `${common} In each, ${many.count} new tokens of ${SIZE} members register; ${CONNECTIONS} clusters form at a time.`,
      rows: [httpRow("Muster", ours), httpRow("etcd", theirs)],
      ratios: [versus(ours, theirs, { required: { atLeast: 1.3 }, aim: { atLeast: 2 } })],
    },
    {
      title: "PUT of a member, durable, one cluster",
      conditions: `${common} In each, all ${LARGE_SIZE} members of one new token register. Muster lets one token's writes take turns.`,
      rows: [httpRow("Muster", oursOfOne), httpRow("etcd", theirsOfOne)],
      ratios: [versus(oursOfOne, theirsOfOne, {})],
    },
  ];
}

interface Shape {
  readonly count: number;
  readonly size: number;
}

/** As many clusters form at a time as there are connections; of each the first node comes before the second. */
function pathsOf(tokens: readonly string[], { size }: Shape): readonly string[] {
  const paths: string[] = [];
  for (let start = 0; start < tokens.length; start += CONNECTIONS) {
    const forming = tokens.slice(start, start + CONNECTIONS);
    for (let node = 0; node < size; node++) {
      paths.push(...forming.map((token) => `/${token}/${memberId(node)}${REGISTER}`));
    }
  }
  return paths;
}

function versus(
  ours: readonly HttpMeasure[],
  theirs: readonly HttpMeasure[],
  bounds: Pick<FigureResult["ratios"][number], "required" | "aim">,
) {
  return { label: "Muster / etcd, requests/s", values: ratios(rates(ours), rates(theirs)), ...bounds };
}
