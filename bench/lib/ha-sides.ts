/** What the figures of Muster over etcd share: an etcd, and a Muster whose store that is. */
import { type EtcdOptions, startEtcd } from "../peers/etcd.ts";
import { type EtcdBinaries, newestEtcd } from "../peers/etcd-binaries.ts";
import { type MusterOptions, startMuster } from "../peers/muster.ts";
import type { Server } from "../peers/server.ts";
import type { Context } from "./figure.ts";

export interface HaSides extends AsyncDisposable {
  readonly muster: Server;
  /** Muster's store, asked directly: both sides write to the same disk through the same process. */
  readonly etcd: Server;
  readonly version: string;
}

const API: EtcdOptions = { api: "v3" };

export async function startHaSides(
  { scratch }: Pick<Context, "scratch">,
  debian: EtcdBinaries,
  options: MusterOptions = {},
): Promise<HaSides> {
  const binaries = await newestEtcd(debian);
  const etcd = await startEtcd(binaries, scratch.directory("etcd"), API);
  try {
    const store = ["--store", `etcd://${new URL(etcd.url).host}`];
    const muster = await startMuster(scratch.directory("muster"), { ...options, store });
    const stop = async (): Promise<void> => {
      await muster.stop();
      await etcd.stop();
    };
    return { muster, etcd, version: binaries.version, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await etcd.stop();
    throw error;
  }
}
