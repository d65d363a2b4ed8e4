/** Muster and a real etcd, side by side, for programs of v3 calls that nobody else disturbs. */
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { MusterProcess } from "../support/muster-process.ts";
import { V3Client } from "../support/v3-client.ts";
import type { V3Pair } from "./v3-lockstep.ts";

/** Starts both, the Muster on a store of its own. */
export async function startV3Pair(
  binaries: EtcdBinaries,
  etcdFlags: readonly string[],
): Promise<V3Pair & AsyncDisposable> {
  const etcd = await startEtcd(binaries, etcdFlags);
  try {
    const muster = await MusterProcess.start({ quiet: true });
    const clients = { etcd: new V3Client(etcd.clientAddress), muster: new V3Client(new URL(muster.clientUrl).host) };
    const stop = async () => {
      clients.etcd[Symbol.dispose]();
      clients.muster[Symbol.dispose]();
      await Promise.all([etcd.stop(), muster.stop()]);
    };
    return { ...clients, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await etcd.stop();
    throw error;
  }
}
