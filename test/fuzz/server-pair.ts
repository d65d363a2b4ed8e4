/** Muster and a real etcd, side by side, for programs that nobody else disturbs. */
import type { CaseScope } from "../conformance/case-scope.ts";
import { RawClient } from "../conformance/raw-client.ts";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { MusterProcess } from "../support/muster-process.ts";

const HISTORY_ROUNDS = 5;

export interface ServerPair extends AsyncDisposable {
  readonly etcd: RawClient;
  readonly muster: RawClient;
}

interface StartedMuster extends AsyncDisposable {
  readonly clientUrl: string;
}

/** Starts both, within a test; the Muster on a store of its own, unless `startMuster` does it otherwise. */
export async function startPair(
  binaries: EtcdBinaries,
  startMuster: () => Promise<StartedMuster> = () => MusterProcess.start({ quiet: true }),
): Promise<ServerPair> {
  const etcd = await startEtcd(binaries, ["--enable-v2=true"]);
  try {
    const muster = await startMuster();
    const clients = { etcd: new RawClient(etcd.clientUrl), muster: new RawClient(muster.clientUrl) };
    await Promise.all([makeHistory(clients.etcd), makeHistory(clients.muster)]);
    const stop = async () => {
      clients.etcd.close();
      clients.muster.close();
      await Promise.all([etcd.stop(), muster[Symbol.asyncDispose]()]);
    };
    return { ...clients, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await etcd.stop();
    throw error;
  }
}

/** Indices before a program's start are then real ones on both, and there are events to be found at them. */
async function makeHistory(client: RawClient): Promise<void> {
  for (let round = 0; round < HISTORY_ROUNDS; round++) {
    await client.call({ method: "PUT", path: "/v2/keys/before?value=x" });
    await client.call({ method: "DELETE", path: "/v2/keys/before" });
  }
}

/** What a program knows of a server at its beginning. */
export async function openScope(client: RawClient, directory: string): Promise<CaseScope> {
  const { headers } = await client.call({ method: "GET", path: `/v2/keys${directory}` });
  const startIndex = Number(headers["x-etcd-index"] ?? Number.NaN);
  return { directory, freshToken: "", startIndex, beganAt: Date.now(), tokens: [], host: "", answers: new Map() };
}
