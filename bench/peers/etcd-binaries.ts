/** Debian's etcd, as scripts/etcd.mjs finds or fetches it for the tests. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import * as z from "zod";
import { PROJECT } from "../lib/project.ts";

const run = promisify(execFile);

const answer = z.object({ etcd: z.string(), version: z.string() });
export type EtcdBinaries = Readonly<z.infer<typeof answer>>;

/** Undefined, and the reason on stderr, where there is none. */
export async function etcdBinaries(): Promise<EtcdBinaries | undefined> {
  try {
    const { stdout } = await run(process.execPath, [join(PROJECT, "scripts", "etcd.mjs")]);
    return answer.parse(JSON.parse(stdout));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  }
}
