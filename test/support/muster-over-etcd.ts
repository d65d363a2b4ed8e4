import type { EtcdBinaries } from "./etcd-binaries.ts";
import { startEtcd } from "./etcd-server.ts";
import { etcdctl } from "./etcdctl.ts";
import { MusterProcess } from "./muster-process.ts";
import { until } from "./until.ts";

/** A Muster, and the etcd of one member that keeps its data. */
export interface MusterOverEtcd extends AsyncDisposable {
  readonly muster: MusterProcess;
  /** The Muster's. */
  readonly publicUrl: string;
  readonly clientUrl: string;
  /** The Muster's client listener, as gRPC wants it. */
  readonly clientAddress: string;
  readonly etcdAddress: string;
}

const READY_TIMEOUT_MS = 60_000;

/** A Muster that shares its store writes its time there when it starts; what is written after that has revisions of its own. */
async function hasRecord(binaries: EtcdBinaries, address: string): Promise<true | undefined> {
  const answer = await etcdctl(binaries, { api: 3, endpoints: [`http://${address}`] }, ["get", "", "--prefix"]);
  return answer === "" ? undefined : true;
}

export interface OverEtcdOptions {
  /** Added to etcd's own. */
  readonly etcdFlags?: readonly string[];
  /** Keeps what Muster wrote to itself; within a test it is shown when that fails. */
  readonly quiet?: boolean;
}

/** Starts both, and waits until the Muster has written its first record; `flags` are added to Muster's `--store`. */
export async function startMusterOverEtcd(
  binaries: EtcdBinaries,
  flags: readonly string[] = [],
  { etcdFlags = [], quiet = false }: OverEtcdOptions = {},
): Promise<MusterOverEtcd> {
  const etcd = await startEtcd(binaries, etcdFlags);
  try {
    const store = ["--store", `etcd://${etcd.clientAddress}`, ...flags];
    const muster = await MusterProcess.start({ store, quiet });
    await until(() => hasRecord(binaries, etcd.clientAddress), {
      timeoutMs: READY_TIMEOUT_MS,
      what: "muster's first write",
    });
    return {
      muster,
      publicUrl: muster.publicUrl,
      clientUrl: muster.clientUrl,
      clientAddress: new URL(muster.clientUrl).host,
      etcdAddress: etcd.clientAddress,
      [Symbol.asyncDispose]: async () => {
        try {
          await muster.stop();
        } finally {
          await etcd.stop();
        }
      },
    };
  } catch (error) {
    await etcd.stop();
    throw error;
  }
}
