import { expect, it, vi } from "vitest";
import type { WatchMessage } from "../../src/engine/model.ts";
import { apply, next, one, put } from "../contract/requests.ts";
import { deferred } from "../support/deferred.ts";
import { etcdBinaries, NO_ETCD } from "../support/etcd-binaries.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";
import { PlayedWatches } from "./played-watches.ts";

/** Answers questions for progress out of order. */
const OLD = "3.4.23";
const NEW = "3.5.9";
const FENCED = ["watch 1 from 0", "cancel 1", "progress"];
const PATIENCE = { timeout: 20_000, interval: 5 };

const line = (message: WatchMessage) => `${message.kind} ${message.revision}`;

/** What a watch tells of two events that etcd looks up only after the first of these questions. */
async function tellsLate(etcd: PlayedWatches, question: readonly string[]) {
  await using store = await openStoreAt([etcd.address]);
  etcd.revision = 9;
  etcd.memberRevision = 9;
  const pass = deferred();
  etcd.nextPass = pass.promise;
  const watch = store.engine.watch({ ...one("k"), startRevision: 7 });
  const messages = watch[Symbol.asyncIterator]();
  watch.requestProgress();
  const first = messages.next();
  const asked = [...question, ...question.slice(0, 1)];
  const waiting = vi.waitFor(() => expect(etcd.asked).toEqual(asked), PATIENCE).then(() => "still waiting");
  expect(await Promise.race([first, waiting])).toBe("still waiting");
  etcd.tell(7, 8);
  pass.resolve();
  expect([(await first).value, await next(messages), await next(messages)].map(line)).toEqual([
    "events 7",
    "events 8",
    "progress 9",
  ]);
  expect(new Set(etcd.asked.splice(0))).toEqual(new Set(question));
  // Nothing happened since: it cannot have missed anything.
  etcd.revision = 10;
  etcd.memberRevision = 10;
  watch.requestProgress();
  expect(line(await next(messages))).toBe("progress 10");
  expect(new Set(etcd.asked)).toEqual(new Set(["progress"]));
}

it("progress: what an old etcd says while it looks up what a watch missed is none, and the events come", async () => {
  await using etcd = await PlayedWatches.start(OLD);
  await tellsLate(etcd, FENCED);
});

it("progress: an old etcd that is compacted is asked only after a pass that ended a watch of what is gone", async () => {
  await using etcd = await PlayedWatches.start(OLD);
  etcd.compactRevision = 5;
  await tellsLate(etcd, ["watch 2 from 1", "cancel 2", ...FENCED]);
});

it("progress: a member that is behind takes back nothing that was told before", async () => {
  await using etcd = await PlayedWatches.start(NEW);
  await using store = await openStoreAt([etcd.address]);
  etcd.revision = 90;
  etcd.memberRevision = 100;
  const watch = store.engine.watch({ ...one("k"), startRevision: 90 });
  const messages = watch[Symbol.asyncIterator]();
  await watch.createdRevision;
  etcd.tell(100);
  expect(line(await next(messages))).toBe("events 100");
  etcd.memberRevision = 95;
  etcd.cut();
  watch.requestProgress();
  expect(line(await next(messages))).toBe("progress 100");
});

it("progress: a member that is behind is asked until it is as far as the store was when the reader asked", async () => {
  await using etcd = await PlayedWatches.start(NEW);
  await using store = await openStoreAt([etcd.address]);
  etcd.memberRevision = 7;
  const watch = store.engine.watch({ ...one("k"), startRevision: 5 });
  const messages = watch[Symbol.asyncIterator]();
  await watch.createdRevision;
  etcd.revision = 8;
  watch.requestProgress();
  await vi.waitFor(() => expect(etcd.asked.length).toBeGreaterThan(1), PATIENCE);
  etcd.memberRevision = 8;
  etcd.tell(8);
  expect(line(await next(messages))).toBe("events 8");
  expect(line(await next(messages))).toBe("progress 8");
});

it("progress: is not taken out of turn, where events are", async () => {
  await using etcd = await PlayedWatches.start(NEW);
  await using store = await openStoreAt([etcd.address]);
  const watch = store.engine.watch({ ...one("k"), startRevision: 2 });
  const messages = watch[Symbol.asyncIterator]();
  await watch.createdRevision;
  etcd.revision = 3;
  etcd.memberRevision = 3;
  etcd.tell(2, 3);
  expect(line(await next(messages))).toBe("events 2");
  watch.requestProgress();
  await vi.waitFor(() => expect(etcd.asked).toHaveLength(1), PATIENCE);
  expect(watch.ready?.()).toMatchObject({ kind: "events", revision: 3 });
  expect(watch.ready?.()).toBeUndefined();
  expect(line(await next(messages))).toBe("progress 3");
});

const binaries = await etcdBinaries();

it.skipIf(binaries === undefined)(
  "progress: a real etcd that is compacted tells it after each batch of events",
  async () => {
    if (binaries === undefined) throw new Error(NO_ETCD);
    const etcd = await startEtcd(binaries);
    try {
      await using store = await openStoreAt([etcd.clientAddress]);
      const { engine } = store;
      const { revision: first } = await apply(engine, put("k", "0"));
      await engine.compact(first);
      await apply(engine, put("k", "1"));
      const watch = engine.watch({ ...one("k"), startRevision: first });
      const messages = watch[Symbol.asyncIterator]();
      expect([await next(messages), await next(messages)].map(line)).toEqual([
        `events ${first}`,
        `events ${first + 1}`,
      ]);
      for (let revision = first + 1; revision < first + 4; revision++) {
        watch.requestProgress();
        expect(line(await next(messages))).toBe(`progress ${revision}`);
        await apply(engine, put("k", "again"));
        expect(line(await next(messages))).toBe(`events ${revision + 1}`);
      }
    } finally {
      await etcd.stop();
    }
  },
);
