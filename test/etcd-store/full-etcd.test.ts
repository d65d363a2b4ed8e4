import { describe, expect, it } from "vitest";
import { isMusterError, type MusterError } from "../../src/base/errors.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { apply, one, put, txn } from "../contract/requests.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

const binaries = await etcdBinaries();
const QUOTA_BYTES = 8 * 1024 * 1024;
const VALUE = "x".repeat(300_000);
/** So many at a time, for the quota to be passed between etcd's first look at a write and its last. */
const TOGETHER = 12;
const MOST_ROUNDS = 10;

interface Refused {
  readonly key: string;
  readonly error: MusterError;
}

/** Writes until some are refused, and once more; gives those. */
async function fill(engine: Engine): Promise<readonly Refused[]> {
  const refused: Refused[] = [];
  for (let round = 0, isLast = false; round < MOST_ROUNDS; round++) {
    const keys = Array.from({ length: TOGETHER }, (_, place) => `${round}.${place}`);
    const write = (key: string) =>
      apply(engine, put(key, VALUE)).catch((error: unknown) => {
        if (!isMusterError(error)) throw error;
        refused.push({ key, error });
      });
    await Promise.all(keys.map(write));
    if (isLast) return refused;
    isLast = refused.length > 0;
  }
  throw new Error(`no write of ${MOST_ROUNDS * TOGETHER} was refused`);
}

describe.skipIf(binaries === undefined)(binaries === undefined ? NO_ETCD : "store in an etcd that is full", () => {
  it("says that a write may have been applied, and what to do; reads go on at the same endpoint", async () => {
    if (binaries === undefined) throw new Error(NO_ETCD);
    await using etcd = await startEtcd(binaries, ["--quota-backend-bytes", String(QUOTA_BYTES)]);
    await using store = await openStoreAt([etcd.clientAddress]);
    const { engine } = store;
    for (const { error } of await fill(engine)) {
      expect(error).toMatchObject({ code: "outcomeUnknown", details: { store: "full" } });
      expect(error.message).toMatch(
        /^Compact and defragment etcd and disarm its NOSPACE alarm.*database space exceeded/,
      );
    }
    expect((await engine.range({ ...one("0.0"), keysOnly: true })).kvs).toHaveLength(1);
    const read = { kind: "range", request: { ...one("0.0"), keysOnly: true } } as const;
    const asked = await engine.txn(txn([], [read])).catch((error: unknown) => error);
    // etcd before 3.5 refuses a transaction that only reads, too: nothing can have been done.
    if (asked instanceof Error) expect(asked).toMatchObject({ code: "storeUnavailable" });
    else expect(asked).toMatchObject({ succeeded: true });
    expect(engine.endpoints?.()).toEqual([{ name: etcd.clientAddress, inUse: true }]);
  });
});
