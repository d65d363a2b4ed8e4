/** etcd with one node and its default settings, but for the v2 API where that is measured. */
import { join } from "node:path";
import { etcdEnvironment } from "../../test/support/etcd-server.ts";
import { restartablePorts } from "../../test/support/ports.ts";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { type Server, startServer } from "./server.ts";

/** What the original discovery service kept tokens under. */
export const ETCD_REGISTRY = "/v2/keys/_etcd/registry";

/** Which API is asked; a server of both does more for every write. */
export interface EtcdOptions {
  readonly api: "v2" | "v3";
}

export async function startEtcd(
  binaries: EtcdBinaries,
  directory: string,
  { api }: EtcdOptions = { api: "v2" },
): Promise<Server> {
  const [clientPort = 0, peerPort = 0] = await restartablePorts(2);
  const url = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  return startServer({
    command: binaries.etcd,
    parameters: [
      ...(api === "v2" ? ["--enable-v2=true"] : []),
      ...["--data-dir", join(directory, "data")],
      ...["--listen-client-urls", url, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", `default=${peerUrl}`],
    ],
    env: etcdEnvironment(),
    url,
    healthPath: "/health",
    logFile: join(directory, "log"),
  });
}
