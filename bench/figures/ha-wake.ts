/** From a registration through Muster over etcd until those who wait know it, against a put and watches of that etcd. */
import { MAX_CLUSTER_SIZE } from "../../src/base/limits.ts";
import { makeTokens, memberBody, memberId, REGISTER, registerMembers } from "../lib/clusters.ts";
import type { Context, Figure, FigureResult } from "../lib/figure.ts";
import { type HaSides, startHaSides } from "../lib/ha-sides.ts";
import { alternate } from "../lib/rounds.ts";
import { ratios, spreadOf } from "../lib/statistics.ts";
import { Load } from "../load/load.ts";

/** Wakes of which the median is taken: the first of anything takes longer. Those of very many wait long to begin. */
const wakesOf = (waiters: number): number => (waiters === 1 ? 20 : 5);

const VALUE_BYTES = 30;

/** Watches on one connection, as clients of etcd have them. */
const WATCHES_EACH = 100;

export const haWake: Figure = { name: "ha-wake", needsEtcd: true, run };

async function run(context: Context): Promise<FigureResult[]> {
  if (context.etcd === undefined) return [];
  await using load = await Load.start();
  await using sides = await startHaSides(context, context.etcd);
  const results: FigureResult[] = [];
  for (const waiters of [1, ...context.scale.waiters.slice(-1)]) {
    results.push(await wakeAll(context, { load, sides, waiters }));
  }
  return results;
}

async function wakeAll(
  { scale }: Context,
  { load, sides, waiters }: { readonly load: Load; readonly sides: HaSides; readonly waiters: number },
): Promise<FigureResult> {
  const { muster, etcd, version } = sides;
  const wakes = wakesOf(waiters);
  const wakeOnce = async () => {
    const size = Math.min(waiters + 1, MAX_CLUSTER_SIZE);
    const [token = ""] = await makeTokens({ load, muster }, { count: 1, size });
    await registerMembers({ load, server: muster, prefix: "" }, { token, members: size - 1 });
    const list = await fetch(`${muster.url}/${token}`);
    await list.arrayBuffer();
    const waitIndex = Number(list.headers.get("x-etcd-index")) + 1;
    await load.wait({
      url: muster.url,
      waiters,
      waitPath: `/${token}?recursive=true&wait=true&waitIndex=${waitIndex}`,
    });
    const { lastMs } = await load.wake({ path: `/${token}/${memberId(size - 1)}${REGISTER}`, body: memberBody(1) });
    return lastMs;
  };
  const throughMuster = async () => {
    const last: number[] = [];
    while (last.length < wakes) last.push(await wakeOnce());
    return spreadOf(last).median;
  };
  const directly = async (round: number) => {
    const connections = Math.ceil(waiters / WATCHES_EACH);
    const watchersEach = Math.ceil(waiters / connections);
    const key = `/direct/watched/${waiters}/${round + 1000}`;
    await load.watch({ url: etcd.url, key, valueBytes: VALUE_BYTES, connections, watchersEach });
    const { told } = await load.tell({ puts: wakes, oneByOne: true });
    await load.unwatch();
    return spreadOf(told).median;
  };
  const [ours = [], theirs = []] = await alternate(
    [
      { name: "Muster", measure: throughMuster },
      { name: "etcd", measure: directly },
    ],
    scale,
  );
  const named = waiters === 1 ? "a long poll" : `${waiters.toLocaleString("en")} long polls`;
  return {
    title: `Over etcd: from a registration until ${named} at the token ${waiters === 1 ? "has" : "have"} it`,
    conditions:
      `The last member's PUT by one connection, each long poll on its own; until the last has its whole answer. Directly: a put, and as many ` +
      `watches of its key, ${WATCHES_EACH} on a connection; the medians of ${wakes}. One etcd ${version} on this machine, ${scale.rounds} rounds.`,
    rows: [
      { label: "through Muster", values: ours, unit: "ms" },
      { label: `etcd ${version} directly`, values: theirs, unit: "ms" },
    ],
    ratios: [{ label: "through Muster / directly, time", values: ratios(ours, theirs) }],
  };
}
