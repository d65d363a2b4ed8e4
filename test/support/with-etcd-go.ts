import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, test } from "vitest";
import { type EtcdBinaries, readBinaries } from "./etcd-binaries.ts";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../../scripts/etcd-go.mjs", import.meta.url));

/** How scripts/etcd-go.mjs exits where there is no Go that is new enough. */
const NO_GO = 3;

/**
 * A group of tests that need a newer etcd than Debian has, built from its Go modules (once, into .cache/etcd-go). Where
 * there is no such Go, one skipped test says so by name; where there is one, CI=true makes a failing build an error.
 */
export async function describeWithEtcdGo(
  line: "3.6" | "3.7",
  title: string,
  define: (binaries: EtcdBinaries) => void,
): Promise<void> {
  const found = await findEtcd(line);
  if (typeof found === "string") {
    test.skip(`${title}: skipped: ${found}`, () => {});
  } else {
    describe(title, () => define(found));
  }
}

/** The binaries, or why there are none. */
async function findEtcd(line: string): Promise<EtcdBinaries | string> {
  try {
    return readBinaries((await run(process.execPath, [script, line])).stdout);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const isMissing = error instanceof Error && Reflect.get(error, "code") === NO_GO;
    if (!isMissing && process.env.CI === "true") {
      throw new Error(`let etcd ${line} build from its Go modules: CI must test v3 discovery`, { cause: error });
    }
    console.warn(reason);
    return `no etcd ${line} could be built from its Go modules (node scripts/etcd-go.mjs ${line} says why)`;
  }
}
