/** What a request costs through Muster over etcd, against the v3 calls that it cannot do without, made directly. */
import { makeTokens, memberBody, memberId, memberValue, REGISTER, registerMembers } from "../lib/clusters.ts";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { type HaSides, startHaSides } from "../lib/ha-sides.ts";
import { type HttpMeasure, httpRow, measureHttp, rates } from "../lib/http-measure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { clientsOf, clientsText, measureGrpc } from "../lib/v3-measure.ts";
import { Load } from "../load/load.ts";
import { ETCD_REGISTRY } from "../peers/etcd.ts";

const SIZE = 3;

/** How many ask at a time: one shows how long a request takes, many how many get through. */
const CLIENTS = [1, 64] as const;

/** Of the clusters that register elsewhere; a call over the network to a store of its own takes its time. */
const CLUSTERS_SHARE = { 1: 0.01, 64: 0.1 } as const satisfies Record<(typeof CLIENTS)[number], number>;

/** Keys that Muster writes for a token, and for a member: what v2 shows, and the records beside it. */
const NEW_PUTS = 6;
const MEMBER_PUTS = 4;

export const haCalls: Figure = { name: "ha-calls", needsEtcd: true, run };

interface Measuring {
  readonly context: Context;
  readonly load: Load;
  readonly sides: HaSides;
  readonly clients: (typeof CLIENTS)[number];
}

async function run(context: Context): Promise<FigureResult[]> {
  if (context.etcd === undefined) return [];
  await using load = await Load.start();
  await using sides = await startHaSides(context, context.etcd);
  const results: FigureResult[] = [];
  for (const clients of CLIENTS) {
    const measuring = { context, load, sides, clients };
    results.push(await newTokens(measuring), await registrations(measuring), await listings(measuring));
  }
  return results;
}

async function newTokens({ context: { scale }, load, sides, clients }: Measuring): Promise<FigureResult> {
  const limitMs = scale.roundMs;
  const requests = { kind: "same", method: "GET", path: `/new?size=${SIZE}` } as const;
  const [ours = [], theirs = []] = await alternate(
    [
      {
        name: "Muster",
        measure: () => measureHttp({ load, server: sides.muster }, { requests, limitMs, connections: clients }),
      },
      {
        name: "etcd",
        measure: (round) => {
          const call = {
            kind: "create",
            prefix: prefixOf("new", clients, round),
            puts: NEW_PUTS,
            valueBytes: 40,
          } as const;
          return measureGrpc({ load, server: sides.etcd }, { ...clientsOf(clients), call, limitMs });
        },
      },
    ],
    scale,
  );
  return resultOf({
    title: `/new?size=${SIZE}`,
    conditions: `Directly: a transaction that puts ${NEW_PUTS} keys where the first is not there yet; ${scale.rounds} rounds of ${limitMs} ms each.`,
    ...{ sides, clients, ours, theirs },
  });
}

async function registrations({ context: { scale }, load, sides, clients }: Measuring): Promise<FigureResult> {
  const count = Math.ceil(scale.clusters * CLUSTERS_SHARE[clients]);
  const [ours = [], theirs = []] = await alternate(
    [
      {
        name: "Muster",
        measure: async () => {
          const tokens = await makeTokens({ load, muster: sides.muster }, { count, size: SIZE });
          const nodes = [...Array(SIZE).keys()];
          const paths = nodes.flatMap((node) => tokens.map((token) => `/${token}/${memberId(node)}${REGISTER}`));
          const requests = { kind: "listed", method: "PUT", paths, body: memberBody(1) } as const;
          return measureHttp({ load, server: sides.muster }, { requests, connections: clients });
        },
      },
      {
        name: "etcd",
        measure: (round) => {
          const prefix = prefixOf("member", clients, round);
          const call = { kind: "create", prefix, puts: MEMBER_PUTS, valueBytes: memberValue(1).length } as const;
          return measureGrpc({ load, server: sides.etcd }, { ...clientsOf(clients), call, count: count * SIZE });
        },
      },
    ],
    scale,
  );
  return resultOf({
    title: "PUT of a member",
    conditions: `${count} clusters of ${SIZE}. Directly: a transaction that puts ${MEMBER_PUTS} keys where the first is not there yet; ${scale.rounds} rounds.`,
    ...{ sides, clients, ours, theirs },
  });
}

async function listings({ context: { scale }, load, sides, clients }: Measuring): Promise<FigureResult> {
  const limitMs = scale.roundMs;
  const { muster, etcd } = sides;
  const [token = ""] = await makeTokens({ load, muster }, { count: 1, size: SIZE });
  await registerMembers({ load, server: muster, prefix: "" }, { token, members: SIZE });
  const requests = { kind: "same", method: "GET", path: `/${token}` } as const;
  const key = `${ETCD_REGISTRY.replace("/v2/keys", "")}/${token}/`;
  const call = { kind: "range", key, isPrefix: true } as const;
  const [ours = [], theirs = []] = await alternate(
    [
      {
        name: "Muster",
        measure: () => measureHttp({ load, server: muster }, { requests, limitMs, connections: clients }),
      },
      {
        name: "etcd",
        measure: () => measureGrpc({ load, server: etcd }, { ...clientsOf(clients), call, limitMs }),
      },
    ],
    scale,
  );
  return resultOf({
    title: "GET of a token",
    conditions: `A token of ${SIZE} members, all there. Directly: a linearizable range of its keys; ${scale.rounds} rounds of ${limitMs} ms each.`,
    ...{ sides, clients, ours, theirs },
  });
}

function prefixOf(what: string, clients: number, round: number): string {
  return `/direct/${what}/${clients}/${round + 1000}/`;
}

function resultOf(figure: {
  readonly title: string;
  readonly conditions: string;
  readonly sides: HaSides;
  readonly clients: number;
  readonly ours: readonly HttpMeasure[];
  readonly theirs: readonly HttpMeasure[];
}): FigureResult {
  const { title, conditions, sides, clients, ours, theirs } = figure;
  const name = `etcd ${sides.version}`;
  const throughput = { label: `through Muster / directly, requests/s`, values: ratios(rates(ours), rates(theirs)) };
  const latency = { label: "through Muster / directly, time of a request", values: ratios(rates(theirs), rates(ours)) };
  const took = (label: string, measures: readonly HttpMeasure[]) => ({
    label: `${label}: time of a request`,
    values: rates(measures).map((perSecond) => (clients * 1000) / perSecond),
    unit: "ms",
  });
  return {
    title: `Over etcd: ${title}, ${clients === 1 ? "one client" : `${clients} clients`}`,
    conditions: `Muster and ${name} (one node) on this machine, both asked by ${clientsText(clientsOf(clients))} (HTTP: a connection each). ${conditions}`,
    rows: [
      httpRow("through Muster", ours),
      httpRow(`${name} directly`, theirs),
      took("through Muster", ours),
      took("directly", theirs),
    ],
    ratios: [throughput, latency],
  };
}
