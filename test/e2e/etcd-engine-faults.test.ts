import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { isMusterError } from "../../src/base/errors.ts";
import type { Engine, Watch } from "../../src/engine/engine.ts";
import { ALL, apply, eventLine, name, one, put, refusal, txn } from "../contract/requests.ts";
import { LoopbackNetwork } from "../faults/place.ts";
import { RECOVER_MS } from "../faults/recovery.ts";
import { type StoreEtcd, StoreEtcds } from "../faults/store-etcds.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { until } from "../support/until.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

const binaries = await etcdBinaries();
const WORKERS = 6;
const BACK_MS = 60_000;
const LAST = "last";

/** What writers were told of each of their writes, by the value that they wrote. */
interface Told {
  readonly acknowledged: Map<string, number>;
  readonly refused: Set<string>;
  readonly unknown: Set<string>;
}

/** Counts up, each time guarded by the revision that was read, until it is stopped. Each value is written by one attempt only. */
async function count(engine: Engine, worker: string, told: Told & { readonly signal: AbortSignal }): Promise<void> {
  for (let attempt = 1; !told.signal.aborted; attempt++) {
    try {
      const before = (await engine.range(one("counter"))).kvs[0];
      const number = before === undefined ? 0 : Number(name(before.value).split(" ")[0]);
      const value = `${number + 1} ${worker}.${attempt}`;
      const isFree = {
        ...one("counter"),
        target: "modRevision",
        result: "equal",
        expected: before?.modRevision ?? 0,
      } as const;
      await write(engine, { value, isFree }, told);
    } catch (error) {
      expect(error).toMatchObject({ code: "storeUnavailable" });
    }
  }
}

async function write(
  engine: Engine,
  { value, isFree }: { readonly value: string; readonly isFree: Parameters<typeof txn>[0][number] },
  told: Told,
): Promise<void> {
  try {
    const { succeeded, revision } = await engine.txn(txn([isFree], [put("counter", value)]));
    if (succeeded) told.acknowledged.set(value, revision);
    else told.refused.add(value);
  } catch (error) {
    if (isMusterError(error, "outcomeUnknown")) told.unknown.add(value);
    else if (isMusterError(error, "storeUnavailable")) told.refused.add(value);
    else throw error;
  }
}

/** What a watch tells up to the key LAST. */
async function eventsOf(watch: Watch): Promise<readonly string[]> {
  const events: string[] = [];
  for await (const message of watch) {
    for (const event of message.kind === "events" ? message.events : []) {
      if (name(event.kv.key) === LAST) return events;
      events.push(eventLine(event));
    }
  }
  throw new Error("the watch ended");
}

/** Every number once, by one attempt, as it was told to whom made it. */
function checkCounter(history: readonly string[], told: Told): void {
  const values = history.map((line) => /^put counter=(\d+ \S+) create \d+ mod (\d+)/.exec(line));
  const written = new Map(values.map((match) => [match?.[1] ?? "", Number(match?.[2])]));
  expect(
    values.map((match) => Number(match?.[1]?.split(" ")[0])),
    "each number once",
  ).toEqual(history.map((_, at) => at + 1));
  for (const [value, revision] of told.acknowledged) {
    expect(written.get(value), `acknowledged: ${value}`).toBe(revision);
  }
  for (const value of told.refused) {
    expect(written.has(value), `said to be not applied: ${value}`).toBe(false);
  }
  for (const value of written.keys()) {
    expect(told.acknowledged.has(value) || told.unknown.has(value), `nobody knows of ${value}`).toBe(true);
  }
}

/** Asks until it is answered: on a starved machine an election may refuse one attempt. */
function insist<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  return until(attempt, { timeoutMs: RECOVER_MS, what });
}

async function onAll(nodes: readonly StoreEtcd[], what: (node: StoreEtcd) => Promise<void>): Promise<void> {
  await Promise.all(nodes.map(what));
}

describe.skipIf(binaries === undefined)(binaries === undefined ? NO_ETCD : "store in three etcds", () => {
  const start = async () => {
    if (binaries === undefined) throw new Error(NO_ETCD);
    return StoreEtcds.start(binaries, new LoopbackNetwork(), 3);
  };
  const back = (engine: Engine) =>
    until(() => engine.probe().then(() => true as const), { timeoutMs: BACK_MS, what: "the store to serve again" });

  it("guarded counters: no write is doubled, lost or reported wrongly while leaders die, sleep, and all restart", async () => {
    await using etcds = await start();
    await using first = await openStoreAt(etcds.endpoints);
    await using second = await openStoreAt(etcds.endpoints.toReversed());
    const engines = [first.engine, second.engine];
    const live = engines.map((engine) => eventsOf(engine.watch(ALL)));
    await Promise.all(engines.map((engine) => engine.status()));
    const stop = new AbortController();
    const told: Told = { acknowledged: new Map(), refused: new Set(), unknown: new Set() };
    const workers = Array.from({ length: WORKERS }, (_, index) =>
      count(engines[index % 2] ?? first.engine, `w${index}`, { ...told, signal: stop.signal }),
    );
    const serves = async () => {
      const before = told.acknowledged.size;
      await until(async () => (told.acknowledged.size > before + 20 ? true : undefined), {
        timeoutMs: BACK_MS,
        what: "writes",
      });
    };
    for (let round = 0; round < 2; round++) {
      await serves();
      const [leader] = await etcds.of("leader");
      await leader?.kill();
      await serves();
      await leader?.restart();
      await etcds.whenHealthy();
    }
    const [sleeper] = await etcds.of("leader");
    sleeper?.signal("SIGSTOP");
    await serves();
    sleeper?.signal("SIGCONT");
    await serves();
    await onAll(etcds.nodes, (node) => node.kill());
    await sleep(500);
    await onAll(etcds.nodes, (node) => node.restart());
    await serves();
    stop.abort();
    await Promise.all(workers);
    await back(first.engine);
    // What is told ends with the first, so there may be several.
    await insist("a write after all faults", () => apply(first.engine, put(LAST, "")));
    const history = await eventsOf(first.engine.watch({ ...ALL, startRevision: 1 }));
    checkCounter(history, told);
    expect(await Promise.all(live)).toEqual([history, history]);
    console.info(`${told.acknowledged.size} acknowledged, ${told.refused.size} refused, ${told.unknown.size} unknown`);
  });

  it("no quorum: every call is refused in time, watches wait, and all is well again afterwards", async () => {
    await using etcds = await start();
    await using store = await openStoreAt(etcds.endpoints);
    const { engine } = store;
    await apply(engine, put("a", "1"));
    const live = eventsOf(engine.watch(ALL));
    await engine.status();
    const victims = etcds.nodes.slice(0, 2);
    await onAll(victims, (node) => node.kill());
    // The first may still be sent to one that has just died, or to one that believes in its leader.
    await refusal(apply(engine, put("a", "2")));
    expect(
      await Promise.all([refusal(engine.range(one("a"))), refusal(engine.probe()), refusal(engine.status())]),
    ).toEqual([...["storeUnavailable", "storeUnavailable", "storeUnavailable"]]);
    await onAll(victims, (node) => node.restart());
    await back(engine);
    const read = () => insist("a read after all faults", async () => (await engine.range(one("a"))).kvs[0]);
    const before = await read();
    const unchanged = { ...one("a"), target: "modRevision", result: "equal", expected: before.modRevision } as const;
    // Where an attempt whose outcome is unknown was applied, the next one changes nothing.
    await insist("a write after all faults", () => engine.txn(txn([unchanged], [put("a", "3"), put(LAST, "")])));
    expect((await read()).version).toBe(before.version + 1);
    expect((await live).at(-1)).toContain("put a=3");
  });
});
