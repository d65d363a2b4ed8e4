import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { PATIENTLY } from "../../test/support/until.ts";
import { NO_BYTES, prefixEnd, utf8 } from "../base/bytes.ts";
import { MusterError } from "../base/errors.ts";
import { WATCH_QUEUE_BYTES, WATCH_QUEUE_EVENTS } from "../base/limits.ts";
import type { Watch } from "./engine.ts";
import type { Event, KeyValue, Revision, WatchMessage, WatchRequest } from "./model.ts";
import { WatchBudget } from "./watch-budget.ts";
import type { HistoryRequest, RevisionEvents } from "./watch-history.ts";
import { WatchHub } from "./watch-hub.ts";

function kv(key: string, modRevision: Revision, value = utf8(`${modRevision}`)): KeyValue {
  return { key: utf8(key), value, createRevision: modRevision, modRevision, version: 1, lease: 0n };
}

/** A hub over a history that is all there, read at most `piece` revisions at a time. */
class World {
  readonly hub: WatchHub;
  readonly log: RevisionEvents[] = [];
  readonly reads: Pick<HistoryRequest, "from" | "to">[] = [];
  /** What a read of history waits for. */
  ready: Promise<unknown> = Promise.resolve();
  compactRevision = 0;
  #revision = 1;

  constructor(piece = 100, budget?: WatchBudget) {
    this.hub = new WatchHub(
      {
        read: async ({ from, to, wants }) => {
          this.reads.push({ from, to });
          await this.ready;
          if (from < this.compactRevision) {
            throw new MusterError("compacted", "gone", { details: { compactRevision: this.compactRevision } });
          }
          const next = Math.min(to + 1, from + piece);
          const revisions = this.log
            .filter(({ revision }) => revision >= from && revision < next)
            .map(({ revision, events }) => ({ revision, events: events.filter((event) => wants(event.kv.key)) }))
            .filter(({ events }) => events.length > 0);
          return { revisions, next };
        },
      },
      1,
      budget,
    );
  }

  watch(request: WatchRequest): Watch {
    return this.hub.watch(request, this.#revision);
  }

  change(...events: Event[]): RevisionEvents {
    const change = { revision: ++this.#revision, events };
    this.log.push(change);
    return change;
  }

  put(key: string, value?: Uint8Array): void {
    this.hub.publish(this.change({ kind: "put", kv: kv(key, this.#revision + 1, value), prevKv: undefined }));
  }
}

/** The next messages of a watch, each as its revision, or `progress` and its revision. */
async function take(iterator: AsyncIterator<WatchMessage>, count: number): Promise<(number | string)[]> {
  const taken: (number | string)[] = [];
  while (taken.length < count) {
    const { value, done } = await iterator.next();
    if (done === true) {
      break;
    }
    taken.push(value.kind === "events" ? value.revision : `progress ${value.revision}`);
  }
  return taken;
}

const K = { key: utf8("k") };

describe("WatchHub: live", () => {
  it("watch: hands out what is published after it, of its keys only", async () => {
    const world = new World();
    world.put("k");
    const watch = world.watch({ key: utf8("k"), end: prefixEnd(utf8("k")) });
    expect(await watch.createdRevision).toBe(2);
    world.put("k1");
    world.put("other");
    world.put("k2");
    expect(await take(watch[Symbol.asyncIterator](), 2)).toEqual([3, 5]);
    expect(world.reads).toEqual([]);
  });

  it("watch: a reader that waits is woken", async () => {
    const world = new World();
    const next = take(world.watch(K)[Symbol.asyncIterator](), 1);
    await Promise.resolve();
    world.put("k");
    expect(await next).toEqual([2]);
  });

  it("watch: waits for a start revision in the future", async () => {
    const world = new World();
    const watch = world.watch({ ...K, startRevision: 4 });
    for (let index = 0; index < 4; index++) {
      world.put("k");
    }
    expect(await take(watch[Symbol.asyncIterator](), 2)).toEqual([4, 5]);
  });

  it("watch: one made between commit and publication is not told what it knows", async () => {
    const world = new World();
    const committed = world.change({ kind: "put", kv: kv("k", 2), prevKv: undefined });
    const watch = world.watch(K);
    const early = world.watch({ ...K, startRevision: 2 });
    watch.requestProgress();
    const iterator = watch[Symbol.asyncIterator]();
    expect(await take(iterator, 1)).toEqual(["progress 2"]);
    world.hub.publish(committed);
    world.put("k");
    expect(await take(iterator, 1)).toEqual([3]);
    expect(await take(early[Symbol.asyncIterator](), 2)).toEqual([2, 3]);
  });

  it("watch: filters, and shows previous key-values only where they are asked for", async () => {
    const world = new World();
    const deletes = world.watch({ ...K, noPut: true, prevKv: true });
    const puts = world.watch({ ...K, noDelete: true });
    world.hub.publish(
      world.change(
        { kind: "put", kv: kv("k", 2), prevKv: kv("k", 1) },
        { kind: "delete", kv: kv("k", 2, NO_BYTES), prevKv: kv("k", 1) },
      ),
    );
    const first = async (watch: Watch) => (await watch[Symbol.asyncIterator]().next()).value;
    expect(await first(deletes)).toMatchObject({ events: [{ kind: "delete", prevKv: { modRevision: 1 } }] });
    expect(await first(puts)).toMatchObject({ events: [{ kind: "put", prevKv: undefined }] });
  });

  it("watch: those with the same filters share a message, however many they are", async () => {
    const world = new World();
    const filters = [{}, {}, { prevKv: true }, { prevKv: true }, { noDelete: true }, { noPut: true }];
    const watches = filters.map((more) => world.watch({ ...K, ...more }));
    const prevKv = kv("k", 1);
    world.hub.publish(world.change({ kind: "put", kv: kv("k", 2), prevKv }));
    const [plain, same, previous, samePrevious, puts, deletes] = watches.map((watch) => watch.ready?.());
    expect(plain).toMatchObject({ revision: 2, events: [{ kv: kv("k", 2), prevKv: undefined }] });
    expect(same).toBe(plain);
    expect(previous).toMatchObject({ events: [{ prevKv }] });
    expect(samePrevious).toBe(previous);
    expect(puts).toEqual(plain);
    expect(deletes).toBeUndefined();
  });

  it("requestProgress: answers after everything before it", async () => {
    const world = new World();
    const watch = world.watch(K);
    world.put("k");
    world.put("other");
    watch.requestProgress();
    expect(await take(watch[Symbol.asyncIterator](), 2)).toEqual([2, "progress 3"]);
  });
});

describe("WatchHub: behind", () => {
  it("watch: reads history from its start, piece by piece, then goes on live", async () => {
    const world = new World(2);
    for (let index = 0; index < 7; index++) {
      world.put(index % 2 === 0 ? "k" : "other");
    }
    const iterator = world.watch({ ...K, startRevision: 3 })[Symbol.asyncIterator]();
    expect(await take(iterator, 1)).toEqual([4]);
    world.put("k");
    expect(await take(iterator, 3)).toEqual([6, 8, 9]);
    world.put("k");
    const reads = world.reads.length;
    expect(await take(iterator, 1)).toEqual([10]);
    expect(world.reads).toHaveLength(reads);
  });

  it("watch: a reader that is slow is served from history, and misses and repeats nothing", async () => {
    const world = new World(300);
    const watch = world.watch(K);
    const count = 2 * WATCH_QUEUE_EVENTS + 5;
    for (let index = 0; index < count; index++) {
      world.put("k");
    }
    const iterator = watch[Symbol.asyncIterator]();
    expect(await take(iterator, count)).toEqual(Array.from({ length: count }, (_, index) => index + 2));
    expect(world.reads[0]).toEqual({ from: WATCH_QUEUE_EVENTS + 2, to: count + 1 });
    world.put("k");
    expect(await take(iterator, 1)).toEqual([count + 2]);
  });

  it("watch: a revision that is larger than the queue comes whole", async () => {
    const world = new World();
    const watch = world.watch(K);
    world.put("k", Buffer.alloc(WATCH_QUEUE_BYTES));
    world.put("k");
    expect(await take(watch[Symbol.asyncIterator](), 2)).toEqual([2, 3]);
    expect(world.reads).toEqual([{ from: 2, to: 3 }]);
  });

  it("advance: what was not published is read from history", async () => {
    const world = new World();
    const watch = world.watch(K);
    const future = world.watch({ ...K, startRevision: 5 });
    world.put("k");
    world.change({ kind: "put", kv: kv("k", 3), prevKv: undefined });
    world.hub.advance(3);
    world.put("k");
    world.put("k");
    expect(await take(watch[Symbol.asyncIterator](), 4)).toEqual([2, 3, 4, 5]);
    expect(await take(future[Symbol.asyncIterator](), 1)).toEqual([5]);
  });

  it("watch: what is published while history waits for the store is not missed", async () => {
    const world = new World();
    world.put("k");
    let open = () => {};
    world.ready = new Promise<void>((resolve) => {
      open = resolve;
    });
    const taken = take(world.watch({ ...K, startRevision: 2 })[Symbol.asyncIterator](), 3);
    await vi.waitFor(() => expect(world.reads).toHaveLength(1), PATIENTLY);
    world.put("k");
    world.put("other");
    world.put("k");
    open();
    expect(await taken).toEqual([2, 3, 5]);
  });

  it("close: ends a watch of which the history cannot be read any more", async () => {
    const world = new World();
    world.put("k");
    let fail = (_reason: Error) => {};
    world.ready = new Promise((_resolve, reject) => {
      fail = reject;
    });
    const taken = take(world.watch({ ...K, startRevision: 2 })[Symbol.asyncIterator](), 1);
    await vi.waitFor(() => expect(world.reads).toHaveLength(1), PATIENTLY);
    world.hub.close();
    fail(new Error("the store is closed"));
    expect(await taken).toEqual([]);
  });

  it("watch: of many that are behind, one reads in a turn of the event loop", async () => {
    const world = new World(1);
    for (let index = 0; index < 5; index++) {
      world.put("k");
    }
    const count = 20;
    const done = Promise.all(
      Array.from({ length: count }, () => take(world.watch({ ...K, startRevision: 2 })[Symbol.asyncIterator](), 5)),
    );
    let most = 0;
    while (world.reads.length < 5 * count) {
      const before = world.reads.length;
      await nextTurn();
      most = Math.max(most, world.reads.length - before);
    }
    // One before and one after this test in the same turn.
    expect(most).toBeLessThanOrEqual(2);
    expect(await done).toEqual(Array.from({ length: count }, () => [2, 3, 4, 5, 6]));
  });

  it("watch: fails where its history is compacted, and not at the compact revision itself", async () => {
    const world = new World();
    for (let index = 0; index < 5; index++) {
      world.put("k");
    }
    world.compactRevision = 4;
    const gone = world.watch({ ...K, startRevision: 3 })[Symbol.asyncIterator]();
    await expect(gone.next()).rejects.toMatchObject({ code: "compacted", details: { compactRevision: 4 } });
    expect(await gone.next()).toMatchObject({ done: true });
    expect(await take(world.watch({ ...K, startRevision: 4 })[Symbol.asyncIterator](), 1)).toEqual([4]);
  });
});

describe("WatchHub: ends", () => {
  it("close: of a watch ends its iteration, waiting or not, and its costs", async () => {
    const world = new World();
    const waiting = world.watch(K);
    const next = waiting[Symbol.asyncIterator]().next();
    const full = world.watch(K);
    expect(world.hub.isWatched).toBe(true);
    waiting.close();
    world.put("k");
    full.close();
    full.close();
    expect(await next).toMatchObject({ done: true });
    expect(await take(full[Symbol.asyncIterator](), 1)).toEqual([]);
    expect(world.hub.isWatched).toBe(false);
  });

  it("close: of the hub ends all watches, and refuses new ones", async () => {
    const world = new World();
    const next = world.watch(K)[Symbol.asyncIterator]().next();
    world.hub.close();
    expect(await next).toMatchObject({ done: true });
    expect(() => world.watch(K)).toThrowError(expect.objectContaining({ code: "closed" }));
  });

  it("watch: leaving the loop ends it", async () => {
    const world = new World();
    const watch = world.watch(K);
    world.put("k");
    for await (const message of watch) {
      expect(message).toMatchObject({ revision: 2 });
      break;
    }
    expect(world.hub.isWatched).toBe(false);
  });
});

describe("WatchHub: memory of all watches together", () => {
  it("who has waited longest is read from history instead, and misses nothing; who reads is not", async () => {
    const budget = new WatchBudget(2_000);
    const world = new World(100, budget);
    const [slow, slower, fast] = ["k", "k", "k"].map((key) => world.watch({ key: utf8(key) })[Symbol.asyncIterator]());
    const revisions = Array.from({ length: 20 }, (_, at) => at + 2);
    for (const revision of revisions) {
      world.put("k");
      if (fast !== undefined) expect(await take(fast, 1)).toEqual([revision]);
      expect(budget.bytes).toBeLessThanOrEqual(2_000);
    }
    expect(world.reads).toEqual([]);
    for (const late of [slow, slower]) {
      if (late !== undefined) expect(await take(late, 20)).toEqual(revisions);
    }
    expect(world.reads.length).toBeGreaterThan(0);
    world.put("k");
    for (const watch of [slow, slower, fast]) {
      if (watch !== undefined) expect(await take(watch, 1)).toEqual([22]);
    }
    world.hub.close();
    expect(budget.bytes).toBe(0);
  });

  it("a watch that takes more than all may keep is told all the same", async () => {
    const world = new World(100, new WatchBudget(100));
    const watch = world.watch(K)[Symbol.asyncIterator]();
    for (let count = 0; count < 5; count++) world.put("k");
    expect(await take(watch, 5)).toEqual([2, 3, 4, 5, 6]);
  });

  it("gives back what a watch kept that is closed", () => {
    const budget = new WatchBudget(10_000);
    const world = new World(100, budget);
    const watch = world.watch(K);
    world.put("k");
    expect(budget.bytes).toBeGreaterThan(0);
    watch.close();
    expect(budget.bytes).toBe(0);
  });
});
