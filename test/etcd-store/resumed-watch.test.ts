import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine, Watch } from "../../src/engine/engine.ts";
import type { Revision } from "../../src/engine/model.ts";
import { ALL, apply, del, eventLine, from, one, put } from "../contract/requests.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { Link } from "../support/link.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";

const binaries = await etcdBinaries();
const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
const LAST = "zzz last";

/** What a watch tells, up to the key LAST. */
async function told(watch: Watch): Promise<readonly string[]> {
  const events: string[] = [];
  for await (const message of watch) {
    if (message.kind === "progress") continue;
    for (const event of message.events) {
      if (event.kind === "put" && Buffer.from(event.kv.key).toString() === LAST) return events;
      events.push(eventLine(event).replaceAll(/=x+/g, (value) => `=x${value.length}`));
    }
  }
  throw new Error("the watch ended");
}

/** What buffers take that somebody still holds: without a collection it is luck how much garbage is counted. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  // The second one ends the sweep that the first one began.
  runInNewContext("gc(); gc()");
  return process.memoryUsage().arrayBuffers;
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe.skipIf(binaries === undefined)(binaries === undefined ? NO_ETCD : "store in etcd: watches resume", () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    if (binaries === undefined) throw new Error(NO_ETCD);
    etcd = await startEtcd(binaries);
  });
  afterAll(() => etcd.stop());

  async function begin(engine: Engine): Promise<number> {
    return (await apply(engine, put("begin", ""), del(from("c")))).revision + 1;
  }

  /**
   * What a watch of all keys tells next that told the first put of `key`, and had no connection while `meanwhile` was
   * done. Rejects as the watch does.
   */
  async function nextAfterGap(key: string, meanwhile: (engine: Engine, told: Revision) => Promise<void>) {
    await using direct = await openStoreAt([etcd.clientAddress]);
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address]);
    const { revision } = await apply(direct.engine, put(key, "1"));
    const messages = store.engine.watch({ ...ALL, startRevision: revision })[Symbol.asyncIterator]();
    expect((await messages.next()).value).toMatchObject({ kind: "events", revision });
    await link.close();
    await meanwhile(direct.engine, revision);
    await link.reopen();
    return (await messages.next()).value;
  }

  it(`watch: connections cut at random lose no event and repeat none (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    await using direct = await openStoreAt([etcd.clientAddress]);
    const startRevision = await begin(direct.engine);
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address, etcd.clientAddress, link.address]);
    const live = told(store.engine.watch({ ...ALL, prevKv: true }));
    const past = told(store.engine.watch({ ...ALL, prevKv: true, startRevision }));
    await store.engine.status();
    const writing = (async () => {
      for (let round = 0; round < 400; round++) {
        const keys = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, index) => `k${(round * 3 + index) % 11}`);
        await apply(direct.engine, ...(round % 5 === 4 ? [del(from("k"))] : keys.map((key) => put(key, `${round}`))));
      }
    })();
    for (let cuts = 0; cuts < 30; cuts++) {
      await sleep(random() * 40);
      link.cut();
    }
    await writing;
    await apply(direct.engine, put(LAST, ""));
    const expected = await told(direct.engine.watch({ ...ALL, prevKv: true, startRevision }));
    expect(await past).toEqual(expected);
    expect(await live).toEqual(expected);
  });

  it(`watch: cut in the middle of a revision that comes in fragments tells it once, whole (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    await using direct = await openStoreAt([etcd.clientAddress]);
    const startRevision = await begin(direct.engine);
    // With the values before, 128 of these are more than etcd sends in one piece (2 MiB).
    const large = (round: number) =>
      Array.from({ length: 120 }, (_, index) => put(`k${index}`, "x".repeat(11_000 + round)));
    for (let round = 0; round < 4; round++) {
      await apply(direct.engine, ...large(round));
    }
    await apply(direct.engine, put(LAST, ""));
    const expected = await told(direct.engine.watch({ ...ALL, prevKv: true, startRevision }));
    expect(expected).toHaveLength(480);
    for (let trial = 0; trial < 6; trial++) {
      await using link = await Link.open(etcd.clientAddress);
      await using store = await openStoreAt([link.address]);
      link.cutAfter(Math.floor(random() * 8_000_000));
      expect(await told(store.engine.watch({ ...ALL, prevKv: true, startRevision }))).toEqual(expected);
    }
  });

  it("watch: on an endpoint that falls silent goes on at the next one", async () => {
    await using direct = await openStoreAt([etcd.clientAddress]);
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address, etcd.clientAddress]);
    const live = told(store.engine.watch(ALL));
    await store.engine.status();
    link.holdAnswers();
    await begin(direct.engine);
    await apply(direct.engine, put("silent", "1"));
    await apply(direct.engine, put(LAST, ""));
    expect((await live).map((line) => line.split("=")[0])).toContain("put silent");
  });

  it("watch: whose place was compacted while it had no connection says so", async () => {
    await using direct = await openStoreAt([etcd.clientAddress]);
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address]);
    const live = told(store.engine.watch(ALL)).catch((thrown: unknown) => thrown);
    await store.engine.status();
    await link.close();
    await apply(direct.engine, put("gone", "1"));
    const { revision } = await apply(direct.engine, put("gone", "2"));
    await direct.engine.compact(revision);
    await link.reopen();
    expect(await live).toMatchObject({ code: "compacted", details: { compactRevision: revision } });
    expect(await store.engine.status()).toEqual({ revision, compactRevision: revision });
  });

  it("watch: a delete in the very revision that was compacted to meanwhile is not lost unsaid", async () => {
    let deleted = 0;
    const next = nextAfterGap("deleted", async (engine) => {
      deleted = (await apply(engine, del(one("deleted")))).revision;
      await engine.compact(deleted, { physical: true });
    });
    const thrown = await next.catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: "compacted", details: { compactRevision: deleted } });
  });

  it("watch: goes on where what was compacted meanwhile is just what it has told", async () => {
    let changed = 0;
    const next = await nextAfterGap("kept", async (engine, told) => {
      await engine.compact(told, { physical: true });
      changed = (await apply(engine, put("kept", "2"))).revision;
    });
    expect(next).toMatchObject({ kind: "events", revision: changed });
  });

  it("watch: made at an endpoint that fell silent stands at the next one, before calls that wait for it are refused", async () => {
    await using link = await Link.open(etcd.clientAddress);
    await using store = await openStoreAt([link.address, etcd.clientAddress]);
    link.holdAnswers();
    const live = told(store.engine.watch(ALL));
    await store.engine.range(one("any"));
    await apply(store.engine, put("after", "1"), put(LAST, ""));
    expect((await live).map((line) => line.split("=")[0])).toEqual(["put after"]);
  });

  it("watch: a slow reader makes etcd wait, and holds up no other", async () => {
    await using direct = await openStoreAt([etcd.clientAddress]);
    await using store = await openStoreAt([etcd.clientAddress]);
    const startRevision = await begin(direct.engine);
    const slow = store.engine.watch({ ...ALL, startRevision });
    const messages = slow[Symbol.asyncIterator]();
    for (let round = 0; round < 300; round++) {
      await apply(direct.engine, put("k", "x".repeat(100_000 + round)));
    }
    const before = heldBytes();
    await apply(direct.engine, put(LAST, ""));
    const fast = await told(store.engine.watch({ ...ALL, startRevision }));
    expect(fast).toHaveLength(300);
    expect(heldBytes() - before).toBeLessThan(20 * 1024 * 1024);
    const events: string[] = [];
    while (events.length < 300) {
      const { value } = await messages.next();
      if (value?.kind === "events") events.push(...value.events.map(eventLine));
    }
    expect(events).toHaveLength(300);
    slow.close();
  });
});
