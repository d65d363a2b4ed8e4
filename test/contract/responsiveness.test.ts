import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { parsePath } from "../../src/domain/tree/tree-path.ts";
import { TreeWatcher } from "../../src/domain/tree/tree-watcher.ts";
import type { Engine, Watch } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import { LoopMeter } from "../support/loop-meter.ts";
import { ALL, apply, del, from, get, prefix, put, txn } from "./requests.ts";

/** How many keys every operation is about. */
const KEYS = Number(process.env.MUSTER_TEST_KEYS ?? 200_000);
/** What the event loop may be held at a time: beyond, somebody who asks for little waits too long. */
const LONGEST_HOLD_MS = 200;
const TIMEOUT_MS = 300_000;
const LEASE = 7n;
const PER_TXN = 128;
const AT_ONCE = 8;

let directory = "";
let engine: Engine;
/** The revision that shows all keys. */
let full = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-responsiveness-"));
  engine = await openLmdbEngine({ directory, clock: systemClock });
  await engine.grantLease({ id: LEASE, ttl: 100_000 });
  await fill();
}, TIMEOUT_MS);

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true });
});

const keyAt = (index: number) => `/all/${index % 100}/${String(index).padStart(9, "0")}`;

/** Makes all keys, each on the lease. */
async function fill(): Promise<void> {
  for (let first = 0; first < KEYS; first += PER_TXN * AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, (_, part) => {
        const start = first + part * PER_TXN;
        const count = Math.max(0, Math.min(PER_TXN, KEYS - start));
        const puts = Array.from({ length: count }, (_each, index) => put(keyAt(start + index), "v", { lease: LEASE }));
        return apply(engine, ...puts);
      }),
    );
  }
  full = (await engine.status()).revision;
}

/** Runs an operation, and fails where it holds the event loop for too long. Answers with what it came to. */
async function held<T>(what: string, run: () => Promise<T>): Promise<T> {
  const meter = new LoopMeter();
  try {
    return await run();
  } finally {
    const longestMs = meter.stop();
    console.info(`${what}: the event loop was held up to ${longestMs.toFixed(0)} ms`);
    expect(longestMs, `${what}: longest hold of the event loop, in ms`).toBeLessThan(LONGEST_HOLD_MS);
  }
}

/** How many events a watch is told of one revision, which must come in one message. */
async function eventsOf(watch: Watch, revision: number): Promise<number> {
  for await (const message of watch) {
    if (message.revision === revision) {
      return message.kind === "events" ? message.events.length : 0;
    }
  }
  return 0;
}

it("lmdb: reads of very many keys let others run", { timeout: TIMEOUT_MS }, async () => {
  expect((await held("range", () => engine.range(ALL))).kvs).toHaveLength(KEYS);
  const sort = { target: "modRevision", order: "descend" } as const;
  expect((await held("sorted range", () => engine.range({ ...ALL, sort }))).kvs).toHaveLength(KEYS);
  expect(await held("count", () => engine.range({ ...ALL, countOnly: true }))).toMatchObject({ count: KEYS });
  const compare = { ...ALL, target: "version", result: "greater", expected: 0 } as const;
  const read = txn([compare], [get(ALL, { countOnly: true })]);
  expect(await held("compare over all", () => engine.txn(read))).toMatchObject({ succeeded: true });
  const write = txn([compare], [get(ALL, { keysOnly: true }), put("/other", "")]);
  expect(await held("compare and range in a write", () => engine.txn(write))).toMatchObject({ succeeded: true });
  const status = () => engine.leaseStatus(LEASE, { keys: true });
  expect((await held("keys of a lease", status)).keys).toHaveLength(KEYS);
  const history = () => eventsOf(engine.watch({ ...from("/other"), startRevision: 1 }), full + 1);
  expect(await held("history", history)).toBe(1);
});

it("lmdb: a deletion of very many keys lets others run, and so does whoever is told of it", {
  timeout: TIMEOUT_MS,
}, async () => {
  const watcher = await TreeWatcher.start({ engine, onExpiry: () => {}, onFailure: () => {}, onGap: () => {} });
  const revision = full + 2;
  const told = eventsOf(engine.watch({ ...prefix("/all/"), prevKv: true }), revision);
  const before = await engine.range({ ...ALL, countOnly: true });
  let between = 0;
  await held("deletion", async () => {
    let done = false;
    const deleting = apply(engine, del(prefix("/all/"), { prevKv: true })).finally(() => {
      done = true;
    });
    while (!done) {
      const { kvs, revision: shown } = await engine.range({ ...prefix("/all/"), limit: 1, uncounted: true });
      between += shown < revision && kvs.length === 1 ? 1 : 0;
      expect(kvs.length === 1).toBe(shown < revision);
      await nextTurn();
    }
    expect((await deleting).results).toMatchObject([{ deleted: KEYS }]);
  });
  expect(between, "reads while keys were being deleted").toBeGreaterThan(1);
  expect(await held("a watch of the deletion", () => told)).toBe(KEYS);
  await held("the tree's watch of the deletion", async () => {
    const path = parsePath("/other");
    const watch = await watcher.watch({ path, recursive: false, waitIndex: revision + 1 });
    const waiting = watch[Symbol.asyncIterator]().next();
    await apply(engine, put("/other", "last"));
    expect(await waiting).toMatchObject({ value: { action: "set" } });
    watch.close();
  });
  await watcher.close();
  const past = () => engine.range({ ...ALL, revision: full + 1 });
  expect((await held("past range", past)).kvs).toHaveLength(before.count);
});

it("lmdb: the end of a lease with very many keys lets others run, and so does compaction", {
  timeout: TIMEOUT_MS,
}, async () => {
  await fill();
  const { revision } = await held("end of a lease", () => engine.revokeLease(LEASE));
  expect(await engine.range({ ...prefix("/all/"), countOnly: true })).toMatchObject({ revision, count: 0 });
  await held("compaction", async () => {
    await engine.compact(revision);
    // Steps of the background compaction ride along with these.
    for (let round = 0; round < 30; round++) {
      await engine.probe();
    }
  });
});
