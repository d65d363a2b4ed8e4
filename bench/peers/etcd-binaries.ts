/** Real etcds, as scripts/etcd.mjs and scripts/etcd-go.mjs find, fetch or build them for the tests. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import * as z from "zod";
import { PROJECT } from "../lib/project.ts";

const run = promisify(execFile);

const answer = z.object({ etcd: z.string(), version: z.string() });
export type EtcdBinaries = Readonly<z.infer<typeof answer>>;

/** Debian's etcd. Undefined, and the reason on stderr, where there is none. */
export async function etcdBinaries(): Promise<EtcdBinaries | undefined> {
  return binariesOf("etcd.mjs");
}

/** The newest etcd, built from its Go modules; `debian` where there is no Go that is new enough. */
export async function newestEtcd(debian: EtcdBinaries): Promise<EtcdBinaries> {
  return (await binariesOf("etcd-go.mjs", "3.7")) ?? debian;
}

async function binariesOf(script: string, ...parameters: readonly string[]): Promise<EtcdBinaries | undefined> {
  try {
    const { stdout } = await run(process.execPath, [join(PROJECT, "scripts", script), ...parameters]);
    return answer.parse(JSON.parse(stdout));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  }
}
