import { describe, test } from "vitest";
import { type EtcdBinaries, etcdBinaries, NO_ETCD } from "./etcd-binaries.ts";

/** A group of tests that need a real etcd; where there is none, one skipped test says so by name. */
export async function describeWithEtcd(title: string, define: (binaries: EtcdBinaries) => void): Promise<void> {
  const binaries = await etcdBinaries();
  if (binaries === undefined) {
    test.skip(`${title}: ${NO_ETCD}`, () => {});
  } else {
    describe(title, () => define(binaries));
  }
}
