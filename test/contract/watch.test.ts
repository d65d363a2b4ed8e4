import { expect } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { MusterError } from "../../src/base/errors.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { onEveryEngine } from "./engines.ts";
import {
  ALL,
  apply,
  between,
  del,
  eventLine,
  eventsOf,
  from,
  get,
  lines,
  name,
  nested,
  next,
  one,
  prefix,
  put,
  refusal,
} from "./requests.ts";

/** a put at 2 and 4, b put at 3 and deleted at 5, c put at 6 with d. */
async function fill(engine: Engine): Promise<void> {
  await apply(engine, put("a", "1"));
  await apply(engine, put("b", "2"));
  await apply(engine, put("a", "3"));
  await apply(engine, del(one("b")));
  await apply(engine, put("c", "5"), put("d", "5"));
}

const HISTORY = [
  "put a=1 create 2 mod 2 version 1",
  "put b=2 create 3 mod 3 version 1",
  "put a=3 create 2 mod 4 version 2",
  "delete b mod 5",
  "put c=5 create 6 mod 6 version 1",
  "put d=5 create 6 mod 6 version 1",
];

onEveryEngine((test) => {
  test("watch: from now on tells every change made after the call", {}, async ({ engine }) => {
    await fill(engine);
    const watch = engine.watch(ALL);
    const changes = [apply(engine, put("e", "6")), apply(engine, del(one("a")))];
    await Promise.all(changes);
    expect(await watch.createdRevision).toBe(6);
    expect([...(await eventsOf(watch, 2))].sort()).toHaveLength(2);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 7 }), 2)).toHaveLength(2);
  });

  test("watch: tells changes in order, each once", {}, async ({ engine }) => {
    const watch = engine.watch(ALL);
    await fill(engine);
    expect(await eventsOf(watch, 6)).toEqual(HISTORY);
  });

  test("watch: from a past revision, inclusive, then goes on with what happens", {}, async ({ engine }) => {
    await fill(engine);
    const watch = engine.watch({ ...ALL, startRevision: 4 });
    const messages = watch[Symbol.asyncIterator]();
    const first = await next(messages);
    expect(first.kind === "events" && first.events[0] !== undefined && eventLine(first.events[0])).toBe(HISTORY[2]);
    watch.close();
    const again = engine.watch({ ...ALL, startRevision: 2 });
    const all = eventsOf(again, 7);
    await apply(engine, put("e", "6"));
    expect(await all).toEqual([...HISTORY, "put e=6 create 7 mod 7 version 1"]);
    expect((await eventsOf(engine.watch({ ...ALL, startRevision: 1 }), 7)).slice(0, 6)).toEqual(HISTORY);
  });

  test("watch: from a future revision tells nothing from before it", { needs: ["gapless"] }, async ({ engine }) => {
    await fill(engine);
    const watch = engine.watch({ ...ALL, startRevision: 9 });
    for (const value of ["7", "8", "9", "10"]) {
      await apply(engine, put("a", value));
    }
    expect(await eventsOf(watch, 2)).toEqual([
      "put a=9 create 2 mod 9 version 5",
      "put a=10 create 2 mod 10 version 6",
    ]);
  });

  test("watch: one key, a range, a prefix, from a key on", {}, async ({ engine }) => {
    await apply(engine, put("a", ""), put("b", ""), put("ba", ""), put("c", ""), put("d", ""));
    const told = async (range: ReturnType<typeof one>, count: number) =>
      (await eventsOf(engine.watch({ ...range, startRevision: 2 }), count)).map((line) => line.split("=")[0]);
    await apply(engine, del(from("")));
    expect(await told(one("b"), 2)).toEqual(["put b", "delete b mod 3"]);
    expect(await told(between("b", "c"), 4)).toEqual(["put b", "put ba", "delete b mod 3", "delete ba mod 3"]);
    expect(await told(prefix("b"), 4)).toEqual(["put b", "put ba", "delete b mod 3", "delete ba mod 3"]);
    expect(await told(from("c"), 4)).toEqual(["put c", "put d", "delete c mod 3", "delete d mod 3"]);
  });

  test("watch: a range of nothing tells nothing", {}, async ({ engine }) => {
    const nothing = engine.watch({ ...between("b", "a"), startRevision: 1 });
    const messages = nothing[Symbol.asyncIterator]();
    await fill(engine);
    nothing.requestProgress();
    expect(await next(messages)).toEqual({ kind: "progress", revision: 6 });
    nothing.close();
  });

  test("watch: refuses an empty key that starts no range", {}, async ({ engine }) => {
    const watching = async () => {
      await engine.watch(one(""))[Symbol.asyncIterator]().next();
    };
    expect(await refusal(watching())).toBe("invalidArgument");
  });

  test("watch: previous values, where asked for", {}, async ({ engine }) => {
    await fill(engine);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 2, prevKv: true }), 6)).toEqual([
      "put a=1 create 2 mod 2 version 1",
      "put b=2 create 3 mod 3 version 1",
      "put a=3 create 2 mod 4 version 2 (was a=1 create 2 mod 2 version 1)",
      "delete b mod 5 (was b=2 create 3 mod 3 version 1)",
      "put c=5 create 6 mod 6 version 1",
      "put d=5 create 6 mod 6 version 1",
    ]);
    const live = engine.watch({ ...ALL, prevKv: true });
    await apply(engine, put("a", "4"));
    await apply(engine, del(from("c")));
    expect(await eventsOf(live, 3)).toEqual([
      "put a=4 create 2 mod 7 version 3 (was a=3 create 2 mod 4 version 2)",
      "delete c mod 8 (was c=5 create 6 mod 6 version 1)",
      "delete d mod 8 (was d=5 create 6 mod 6 version 1)",
    ]);
  });

  test("watch: a deletion has its key and revision, and nothing else", {}, async ({ engine }) => {
    await fill(engine);
    const messages = engine.watch({ ...one("b"), startRevision: 5 })[Symbol.asyncIterator]();
    const message = await next(messages);
    await messages.return?.();
    expect(message.kind === "events" && message.events.map(({ kind, kv }) => [kind, lines([kv])])).toEqual([
      ["delete", ["b= create 0 mod 5 version 0"]],
    ]);
  });

  test("watch: filters leave out puts, deletions, or both", {}, async ({ engine }) => {
    await fill(engine);
    const start = { ...ALL, startRevision: 2 };
    expect(await eventsOf(engine.watch({ ...start, noPut: true }), 1)).toEqual(["delete b mod 5"]);
    expect(await eventsOf(engine.watch({ ...start, noDelete: true }), 5)).toEqual(
      HISTORY.filter((line) => line.startsWith("put")),
    );
    const neither = engine.watch({ ...start, noPut: true, noDelete: true });
    const messages = neither[Symbol.asyncIterator]();
    neither.requestProgress();
    expect(await next(messages)).toEqual({ kind: "progress", revision: 6 });
    neither.close();
  });

  test("watch: one revision's changes come in the order of its operations", {}, async ({ engine }) => {
    await apply(engine, put("m", ""), put("n", ""), put("o", ""));
    const watch = engine.watch(ALL);
    await apply(
      engine,
      put("z", "1"),
      nested([], [put("b", "2"), del(between("n", "p"))]),
      put("a", "4"),
      del(one("m")),
      get(ALL),
    );
    const expected = [
      "put z=1 create 3 mod 3 version 1",
      "put b=2 create 3 mod 3 version 1",
      "delete n mod 3",
      "delete o mod 3",
      "put a=4 create 3 mod 3 version 1",
      "delete m mod 3",
    ];
    expect(await eventsOf(watch, 6)).toEqual(expected);
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 3 }), 6)).toEqual(expected);
  });

  test("watch: a large revision is not split, live or from history", {}, async ({ engine }) => {
    const watch = engine.watch(ALL);
    const keys = Array.from({ length: 128 }, (_, index) => put(`k${String(index).padStart(3, "0")}`, "x".repeat(2000)));
    await apply(engine, ...keys);
    await apply(engine, del(from("")));
    const live = await eventsOf(watch, 256);
    expect(live).toEqual(await eventsOf(engine.watch({ ...ALL, startRevision: 2 }), 256));
  });

  test("watch: a slow reader loses nothing", {}, async ({ engine }) => {
    const slow = engine.watch(ALL);
    const messages = slow[Symbol.asyncIterator]();
    await apply(engine, put("k", "0"));
    const first = await next(messages);
    expect(first).toMatchObject({ kind: "events", revision: 2 });
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => apply(engine, put("k", `${round * 100 + index}`))));
    }
    const revisions: number[] = [];
    while (revisions.length < 2000) {
      const message = await next(messages);
      if (message.kind === "events") {
        revisions.push(...message.events.map(({ kv }) => kv.modRevision));
      }
    }
    slow.close();
    expect(revisions).toEqual(Array.from({ length: 2000 }, (_, index) => index + 3));
  });

  test("watch: many at once are each told everything", {}, async ({ engine }) => {
    const watches = Array.from({ length: 50 }, (_, index) => engine.watch(index % 2 === 0 ? ALL : one("a")));
    await fill(engine);
    const told = await Promise.all(watches.map((watch, index) => eventsOf(watch, index % 2 === 0 ? 6 : 2)));
    for (const [index, events] of told.entries()) {
      expect(events).toEqual(index % 2 === 0 ? HISTORY : HISTORY.filter((line) => line.startsWith("put a")));
    }
  });

  test("watch: one that starts while writes are under way misses none", {}, async ({ engine }) => {
    const writes: Promise<unknown>[] = [];
    const watches = [];
    for (let index = 0; index < 40; index++) {
      writes.push(apply(engine, put("k", `${index}`)));
      watches.push(engine.watch({ ...one("k"), startRevision: 2 }));
      await Promise.resolve();
    }
    await Promise.all(writes);
    for (const watch of watches) {
      expect(await eventsOf(watch, 40)).toHaveLength(40);
    }
  });

  test("watch: progress is told on request, with the newest revision", {}, async ({ engine }) => {
    await fill(engine);
    const watch = engine.watch(one("x"));
    const messages = watch[Symbol.asyncIterator]();
    watch.requestProgress();
    expect(await next(messages)).toEqual({ kind: "progress", revision: 6 });
    await apply(engine, put("a", "7"));
    watch.requestProgress();
    expect(await next(messages)).toEqual({ kind: "progress", revision: 7 });
    watch.close();
  });

  test("watch: progress comes after every event up to its revision", {}, async ({ engine }) => {
    await fill(engine);
    const watch = engine.watch({ ...ALL, startRevision: 2 });
    watch.requestProgress();
    await apply(engine, put("e", "7"));
    let told = 1;
    for await (const message of watch) {
      if (message.kind === "progress") {
        expect([6, 7]).toContain(message.revision);
        expect(told).toBeGreaterThanOrEqual(message.revision);
        break;
      }
      told = message.revision;
    }
  });

  test("watch: history that is compacted is refused, with the revision that it is compacted to", {
    needs: ["compaction"],
  }, async ({ engine }) => {
    await fill(engine);
    await engine.compact(4);
    const watching = (startRevision: number) =>
      engine
        .watch({ ...ALL, startRevision })
        [Symbol.asyncIterator]()
        .next();
    for (const startRevision of [1, 2, 3]) {
      const error = await watching(startRevision).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(MusterError);
      expect(error).toMatchObject({ code: "compacted", details: { compactRevision: 4 } });
    }
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 5 }), 3)).toEqual(HISTORY.slice(3));
  });

  test("watch: a reader that keeps up outlives a compaction, also where nothing concerned it", {
    needs: ["compaction"],
  }, async ({ engine }) => {
    const idle = engine.watch(one("x"));
    const busy = engine.watch(ALL);
    const told = idle[Symbol.asyncIterator]().next();
    const busyTold = eventsOf(busy, 6);
    await fill(engine);
    expect(await busyTold).toEqual(HISTORY);
    await engine.compact(6);
    await apply(engine, put("x", "7"));
    expect((await told).value).toMatchObject({ kind: "events", revision: 7 });
    idle.close();
  });

  test("watch: close() ends the iteration, waiting or not", {}, async ({ engine }) => {
    await fill(engine);
    const waiting = engine.watch(one("x"));
    const end = waiting[Symbol.asyncIterator]().next();
    await waiting.createdRevision;
    waiting.close();
    expect(await end).toEqual({ value: undefined, done: true });
    waiting.close();
    const unread = engine.watch({ ...ALL, startRevision: 2 });
    await unread.createdRevision;
    unread.close();
    expect(await unread[Symbol.asyncIterator]().next()).toEqual({ value: undefined, done: true });
  });

  test("watch: leaving the loop ends it", {}, async ({ engine }) => {
    await fill(engine);
    const watch = engine.watch({ ...ALL, startRevision: 2 });
    for await (const message of watch) {
      expect(message.kind).toBe("events");
      break;
    }
    await apply(engine, put("a", "9"));
    expect(await eventsOf(engine.watch({ ...ALL, startRevision: 7 }), 1)).toHaveLength(1);
  });

  test("watch: what it tells belongs to the reader", {}, async ({ engine }) => {
    await apply(engine, put("a", "1"));
    await apply(engine, put("a", "2"));
    const spoil = async () => {
      const messages = engine.watch({ ...ALL, startRevision: 3, prevKv: true })[Symbol.asyncIterator]();
      const message = await next(messages);
      await messages.return?.();
      const event = message.kind === "events" ? message.events[0] : undefined;
      const told = event === undefined ? "" : eventLine(event);
      event?.kv.value.fill(0);
      event?.kv.key.fill(0);
      event?.prevKv?.value.fill(0);
      return told;
    };
    const told = await spoil();
    expect(told).toBe("put a=2 create 2 mod 3 version 2 (was a=1 create 2 mod 2 version 1)");
    expect(await spoil()).toBe(told);
    expect(name((await engine.range({ key: utf8("a"), revision: 2 })).kvs[0]?.value ?? utf8("none"))).toBe("1");
  });
});
