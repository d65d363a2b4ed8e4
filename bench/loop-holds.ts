/**
 * How long each of the engine's operations on very many keys holds the event loop at a time.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir /tmp/muster-bench && ln -sfn "$PWD/node_modules" /tmp/muster-bench/
 *   node /tmp/muster-bench/bench/loop-holds.js [keys] [directory]
 *
 * With Node 22.18 or newer: node bench/loop-holds.ts [keys] [directory]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/base/clock.ts";
import type { Engine } from "../src/engine/engine.ts";
import { openLmdbEngine } from "../src/engine/lmdb/lmdb-engine.ts";
import type { Operation, TxnRequest } from "../src/engine/model.ts";
import { LoopMeter } from "../test/support/loop-meter.ts";

const KEYS = Number(process.argv[2] ?? 1_000_000);
const VALUE = Buffer.alloc(100, "v");
const ALL = { key: new Uint8Array(0), end: null } as const;
const LEASE = 7n;
const PER_TXN = 128;
const AT_ONCE = 8;
const COMPACTING_MS = 10_000;

const apply = (...success: Operation[]): TxnRequest => ({ compares: [], success, failure: [] });

/** Makes the keys anew: each on the lease. */
async function fill(engine: Engine): Promise<void> {
  await engine.grantLease({ id: LEASE, ttl: 100_000 }).catch(() => {});
  const batch = (from: number) => {
    const count = Math.min(PER_TXN, KEYS - from);
    return apply(
      ...Array.from({ length: Math.max(count, 0) }, (_, index): Operation => {
        const key = Buffer.from(`/bench/${String(from + index).padStart(9, "0")}`);
        return { kind: "put", request: { key, value: VALUE, lease: LEASE } };
      }),
    );
  };
  for (let from = 0; from < KEYS; from += PER_TXN * AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => engine.txn(batch(from + index * PER_TXN))));
  }
}

async function measure(title: string, run: () => Promise<unknown>): Promise<void> {
  const meter = new LoopMeter();
  const begin = performance.now();
  await run();
  const took = performance.now() - begin;
  console.log(`${title}: held up to ${meter.stop().toFixed(0)} ms at a time, took ${(took / 1000).toFixed(1)} s`);
}

/** Reads a watch up to a revision. */
async function readTo(engine: Engine, from: number, to: number): Promise<void> {
  for await (const message of engine.watch({ ...ALL, startRevision: from, prevKv: true })) {
    if (message.revision >= to) {
      return;
    }
  }
}

const directory = mkdtempSync(join(process.argv[3] ?? tmpdir(), "muster-bench-"));
try {
  let engine = await openLmdbEngine({ directory, clock: systemClock });
  console.log(`${KEYS} keys, on one lease`);
  await measure("fill", () => fill(engine));
  const { revision } = await engine.status();
  await measure("range", () => engine.range(ALL));
  await measure("range, sorted by value", () =>
    engine.range({ ...ALL, sort: { target: "value", order: "descend" }, keysOnly: true }),
  );
  await measure("count", () => engine.range({ ...ALL, countOnly: true }));
  await measure("count with a limit", () => engine.range({ ...ALL, limit: 10 }));
  const compare = { ...ALL, target: "version", result: "greater", expected: 0 } as const;
  await measure("compare over all, read only", () => engine.txn({ ...apply(), compares: [compare] }));
  await measure("compare and range in a write", () =>
    engine.txn({
      compares: [compare],
      success: [
        { kind: "range", request: ALL },
        { kind: "put", request: { key: Buffer.from("/bench/a"), value: VALUE } },
      ],
      failure: [],
    }),
  );
  await measure("keys of the lease", () => engine.leaseStatus(LEASE, { keys: true }));
  const watching = readTo(engine, revision + 2, revision + 2);
  await measure("deletion of all", () => engine.txn(apply({ kind: "deleteRange", request: { ...ALL, prevKv: true } })));
  await measure("watch that gets it", () => watching);
  await measure("past range", () => engine.range({ ...ALL, revision }));
  await measure("past count", () => engine.range({ ...ALL, revision, countOnly: true }));
  await fill(engine);
  const late = readTo(engine, (await engine.status()).revision + 1, (await engine.status()).revision + 1);
  await measure("end of the lease", () => engine.revokeLease(LEASE));
  await measure("watch that gets it", () => late);
  await measure("compaction", async () => {
    await engine.compact((await engine.status()).revision);
    // What is freed in the background cannot be seen from outside.
    await new Promise((resolve) => setTimeout(resolve, COMPACTING_MS));
  });
  await measure("closing", () => engine.close());
  await measure("opening", async () => {
    engine = await openLmdbEngine({ directory, clock: systemClock });
  });
  await engine.close();
} finally {
  rmSync(directory, { recursive: true });
}
