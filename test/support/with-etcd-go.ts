import { describe, test } from "vitest";
import { type EtcdBinaries, readBinaries } from "./etcd-binaries.ts";
import { goProgram } from "./go-programs.ts";

/**
 * A group of tests that need a newer etcd than Debian has, built from its Go modules (once, into .cache/etcd-go). Where
 * there is no such Go, one skipped test says so by name; where there is one, CI=true makes a failing build an error.
 */
export async function describeWithEtcdGo(
  line: "3.6" | "3.7",
  title: string,
  define: (binaries: EtcdBinaries) => void,
): Promise<void> {
  const found = await goProgram({ name: "etcd-go.mjs", parameters: [line], purpose: "test v3 discovery" });
  if ("missing" in found) {
    test.skip(`${title}: skipped: no etcd ${line}: ${found.missing}`, () => {});
  } else {
    const binaries = readBinaries(found.printed);
    describe(title, () => define(binaries));
  }
}
