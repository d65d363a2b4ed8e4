/** How long it takes from a cluster's last registration until every node that waits has its answer. */
import { makeTokens, memberBody, memberId, REGISTER, registerMembers } from "../lib/clusters.ts";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios } from "../lib/statistics.ts";
import { Load } from "../load/load.ts";
import { ETCD_REGISTRY, startEtcd } from "../peers/etcd.ts";
import type { EtcdBinaries } from "../peers/etcd-binaries.ts";
import { startMuster } from "../peers/muster.ts";
import type { Server } from "../peers/server.ts";

export const wake: Figure = { name: "wake", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  const { etcd, scale } = context;
  if (etcd === undefined) return [];
  const results: FigureResult[] = [];
  for (const waiters of scale.waiters) results.push(await wakeAll(context, etcd, waiters));
  return results;
}

async function wakeAll({ scale, scratch }: Context, etcd: EtcdBinaries, waiters: number): Promise<FigureResult> {
  await using load = await Load.start();
  await using muster = await startMuster(scratch.directory("muster"));
  await using peer = await startEtcd(etcd, scratch.directory("etcd"));
  let token = "";
  let made = Number.NaN;
  const side = (server: Server, prefix: string) => async (round: number) => {
    if (round !== made) [token = ""] = await makeTokens({ load, muster }, { count: 1, size: waiters });
    made = round;
    await registerMembers({ load, server, prefix }, { token, members: waiters - 1 });
    const path = `${prefix}/${token}`;
    const waitIndex = (await indexOf(server.url + path)) + 1;
    const waitPath = `${path}?recursive=true&wait=true&waitIndex=${waitIndex}`;
    await load.wait({ url: server.url, waiters, waitPath });
    return load.wake({ path: `${path}/${memberId(waiters - 1)}${REGISTER}`, body: memberBody(1) });
  };
  const [ours = [], theirs = []] = await alternate(
    [
      { name: "Muster", measure: side(muster, "") },
      { name: "etcd", measure: side(peer, ETCD_REGISTRY) },
    ],
    scale,
  );
  const last = (measures: typeof ours) => measures.map(({ lastMs }) => lastMs);
  const written = (measures: typeof ours) => measures.map(({ writtenMs }) => writtenMs);
  return {
    title: `Last registration until ${waiters.toLocaleString("en")} waiting nodes have their answer`,
    conditions:
      `A token of size ${waiters} with ${waiters - 1} members; ${waiters} connections, each with a recursive long poll at it; one more ` +
      `sends the last member's PUT (durable). From sending it until the last waiter has its whole answer. ${scale.rounds} rounds, a new token each.`,
    rows: [
      { label: "Muster", values: last(ours), unit: "ms" },
      { label: "etcd", values: last(theirs), unit: "ms" },
      { label: "Muster: until the PUT is answered", values: written(ours), unit: "ms" },
      { label: "etcd: until the PUT is answered", values: written(theirs), unit: "ms" },
    ],
    ratios: [{ label: "Muster / etcd, time", values: ratios(last(ours), last(theirs)) }],
  };
}

/** The store's index when a node reads the list, which is where it begins to wait. */
async function indexOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.arrayBuffer();
  return Number(response.headers.get("x-etcd-index"));
}
