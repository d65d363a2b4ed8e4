import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../../scripts/etcd.mjs", import.meta.url));

export interface EtcdBinaries {
  readonly etcd: string;
  readonly etcdctl: string;
  /** Such as `3.4.23`. */
  readonly version: string;
}

/** The name that a test that needs a real etcd carries when it is skipped for want of one. */
export const NO_ETCD = "skipped: no etcd on PATH, and Debian's could not be fetched (node scripts/etcd.mjs says why)";

let found: Promise<EtcdBinaries | undefined> | undefined;

/**
 * A real etcd and etcdctl: those of MUSTER_TEST_ETCD and MUSTER_TEST_ETCDCTL, those on PATH, or Debian's, fetched once
 * into .cache/etcd (see scripts/etcd.mjs). Undefined where there is none; with CI=true that is an error instead. Any
 * number of processes may call it at the same time.
 */
export function etcdBinaries(): Promise<EtcdBinaries | undefined> {
  found ??= find();
  return found;
}

async function find(): Promise<EtcdBinaries | undefined> {
  try {
    const { stdout } = await run(process.execPath, [script]);
    return readBinaries(stdout);
  } catch (error) {
    if (process.env.CI === "true") {
      throw new Error("install etcd-server and etcd-client: CI must test with a real etcd", { cause: error });
    }
    console.warn(NO_ETCD, error instanceof Error ? error.message : error);
    return undefined;
  }
}

/** What scripts/etcd.mjs and scripts/etcd-go.mjs print. */
export function readBinaries(line: string): EtcdBinaries {
  const answer: unknown = JSON.parse(line);
  const field = (name: string): string => {
    const value: unknown = typeof answer === "object" && answer !== null ? Reflect.get(answer, name) : undefined;
    if (typeof value !== "string") {
      throw new Error(`let the script print "${name}" as a string: it printed ${line}`);
    }
    return value;
  };
  return { etcd: field("etcd"), etcdctl: field("etcdctl"), version: field("version") };
}
