import type { Stage } from "./fault-control.ts";
import type { Change } from "./history.ts";
import { untilDone } from "./recovery.ts";
import type { Target } from "./target.ts";
import { LOAD_PREFIX, type Worker } from "./worker.ts";

const READ_MS = 60_000;

/**
 * Every change of every key that clients see, from the store itself: nothing is compacted in a run. Where each Muster has
 * its own store, from that of the first.
 */
export async function readStoreLog(
  { etcds, musters, storePrefix }: Stage & { readonly storePrefix: string },
  { name: client, recorder, v2, v3 }: Worker,
): Promise<readonly Change[]> {
  const [muster] = musters;
  if (muster === undefined) throw new Error("run at least one Muster");
  let last = "";
  const outcome = await untilDone(() => {
    last = recorder.newValue(client);
    const write = { client, muster: muster.name, key: `${LOAD_PREFIX}end`, value: last };
    return recorder.write(write, () => v2.put(muster, write));
  });
  if (outcome.kind !== "done") throw new Error(`the last write was not taken: ${outcome.why}`);
  const [etcd] = etcds?.nodes ?? [];
  const source: Target = etcd === undefined ? muster : { ...muster, name: etcd.name, clientUrl: etcd.clientUrl };
  const prefix = etcd === undefined ? "" : storePrefix;
  const log: Change[] = [];
  const complete = new AbortController();
  const signal = AbortSignal.any([complete.signal, AbortSignal.timeout(READ_MS)]);
  await v3.watch(source, { prefix: `${prefix}/`, from: 1, signal }, (change) => {
    if (complete.signal.aborted) return;
    log.push({ ...change, key: change.key.slice(prefix.length) });
    if (change.value === last) complete.abort();
  });
  if (!complete.signal.aborted) throw new Error(`read the whole log of the store first: ${log.length} changes came`);
  return log;
}
