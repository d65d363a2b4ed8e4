import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { etcdEnvironment } from "./etcd-server.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;

export interface EtcdctlOptions {
  /** The protocol it speaks to the server. */
  readonly api: 2 | 3;
  readonly endpoints: readonly string[];
}

/** Runs a real etcdctl and gives what it wrote to stdout, trimmed; rejects, with what it wrote, when it fails. */
export async function etcdctl(
  binaries: EtcdBinaries,
  options: EtcdctlOptions,
  parameters: readonly string[],
): Promise<string> {
  const { stdout } = await run(binaries.etcdctl, ["--endpoints", options.endpoints.join(","), ...parameters], {
    timeout: TIMEOUT_MS,
    env: { ...process.env, ...etcdEnvironment(), ETCDCTL_API: String(options.api) },
  });
  return stdout.trim();
}
