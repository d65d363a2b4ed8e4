import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { silentLog } from "../../base/log.ts";
import type { Compare, Operation, TxnRequest, TxnResult } from "../model.ts";
import { WatchHub } from "../watch-hub.ts";
import { Ahead } from "./lmdb-ahead.ts";
import type { Tables } from "./lmdb-open.ts";
import { EMPTY_STATE, encodeState, STATE_KEY } from "./lmdb-schema.ts";
import { readKey, readState } from "./lmdb-snapshot.ts";
import { LmdbStore } from "./lmdb-store.ts";

let directory = "";
let store: LmdbStore;
let ahead: Ahead;
/** The writes that LMDB was given, each held until LMDB takes it, and then until those who wait are told of it. */
let writes: Held[] = [];

interface Held {
  /** LMDB takes it and syncs it. */
  readonly take: () => Promise<void>;
  /** LMDB takes it and throws it away. */
  readonly lose: () => Promise<void>;
  readonly tell: () => void;
  readonly fail: (error: Error) => void;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-ahead-"));
  store = await LmdbStore.open({ directory, isNew: true, log: silentLog });
  await store.write(({ meta }) => meta.putSync(STATE_KEY, encodeState(EMPTY_STATE)));
  writes = [];
  const hub = new WatchHub({ read: () => Promise.resolve({ revisions: [], next: 0 }) }, 1);
  ahead = new Ahead({ store: heldStore(), hub, directory });
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

/** The store, but that writes are given to LMDB only when they are let go. */
function heldStore(): ConstructorParameters<typeof Ahead>[0]["store"] {
  return {
    isWritable: true,
    lookNow: (look) => store.lookNow(look),
    get tables(): Tables {
      return store.tables;
    },
    write: (apply) =>
      new Promise((resolve, reject) => {
        const lost = (tables: Tables) => {
          apply(tables);
          throw new Error("lost");
        };
        writes.push({
          take: () => store.write(apply),
          lose: () => expect(store.write(lost)).rejects.toThrow("lost"),
          tell: resolve,
          fail: reject,
        });
      }),
  };
}

async function letGo(held: Held | undefined): Promise<void> {
  await held?.take();
  held?.tell();
}

interface Asked {
  readonly answer: Promise<TxnResult>;
  readonly isTold: () => boolean;
}

function ask(success: readonly Operation[], compares: readonly Compare[] = []): Asked {
  const request: TxnRequest = { compares, success, failure: [] };
  let told = false;
  const answer = new Promise<TxnResult>((resolve, reject) => {
    expect(ahead.take({ request, resolve, reject })).toBe(true);
  }).finally(() => {
    told = true;
  });
  answer.catch(() => {});
  return { answer, isTold: () => told };
}

const put = (key: string, value = "v"): Operation => ({
  kind: "put",
  request: { key: utf8(key), value: utf8(value) },
});
const remove = (key: string): Operation => ({ kind: "deleteRange", request: { key: utf8(key) } });
const get = (key: string): Operation => ({ kind: "range", request: { key: utf8(key) } });
const version = (key: string, expected: number): Compare => ({
  key: utf8(key),
  target: "version",
  result: "equal",
  expected,
});
const noneFrom = (key: string, end: string): Compare => ({ ...version(key, 0), end: utf8(end) });
const stored = (key: string) => readKey(store.tables, utf8(key), "newest")?.version;
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("Ahead", () => {
  it("tells nobody, not even of what was refused, before all that it builds upon is synced", async () => {
    const first = ask([put("a")]);
    const committing = ahead.commit();
    await writes[0]?.take();
    const second = ask([put("b"), get("a")], [version("a", 1)]);
    const overtaken = ask([put("a")], [version("a", 0)]);
    const refused = ask([{ kind: "put", request: { key: utf8("none"), value: utf8(""), ignoreValue: true } }]);
    await turn();
    expect([first, second, overtaken, refused].map(({ isTold }) => isTold())).toEqual([false, false, false, false]);
    writes[0]?.tell();
    expect(await first.answer).toMatchObject({ revision: 2, succeeded: true });
    await turn();
    expect([second, overtaken, refused].map(({ isTold }) => isTold())).toEqual([false, false, false]);
    expect([writes.length, stored("a"), stored("b")]).toEqual([2, 1, undefined]);
    await letGo(writes[1]);
    await committing;
    expect(await second.answer).toMatchObject({ revision: 3, succeeded: true });
    expect(await overtaken.answer).toMatchObject({ revision: 3, succeeded: false });
    await expect(refused.answer).rejects.toMatchObject({ code: "keyNotFound" });
    expect([readState(store.tables).revision, ahead.isIdle, ahead.changes]).toEqual([3, true, 2]);
  });

  it("a write that fails takes with it all that was worked out since, and what comes then finds none of it", async () => {
    const first = ask([put("a")]);
    const committing = ahead.commit();
    await writes[0]?.lose();
    const second = ask([put("b")], [version("a", 1)]);
    writes[0]?.fail(new Error("the disk is gone"));
    await committing;
    await expect(first.answer).rejects.toMatchObject({ code: "internal" });
    await expect(second.answer).rejects.toMatchObject({ code: "internal" });
    expect([writes.length, ahead.isIdle, stored("a"), stored("b")]).toEqual([1, true, undefined, undefined]);
    const third = ask([put("a")], [version("a", 0), version("b", 0)]);
    const again = ahead.commit();
    await letGo(writes[1]);
    await again;
    expect(await third.answer).toMatchObject({ revision: 2, succeeded: true });
    expect([stored("a"), stored("b")]).toEqual([1, undefined]);
  });

  it("a refused transaction leaves nothing of itself, though its first put could be done", async () => {
    const half = ask([put("a"), { kind: "put", request: { key: utf8("b"), value: utf8(""), lease: 7n } }]);
    const next = ask([put("c")], [version("a", 0)]);
    const committing = ahead.commit();
    await letGo(writes[0]);
    await committing;
    await expect(half.answer).rejects.toMatchObject({ code: "leaseNotFound" });
    expect(await next.answer).toMatchObject({ revision: 2, succeeded: true });
    expect([stored("a"), stored("b"), stored("c")]).toEqual([undefined, undefined, 1]);
  });

  it("finds a range empty or not by what is on its way: keys put, deleted, and put again", async () => {
    const first = ask([put("d/1"), put("e/1")]);
    const begun = ahead.commit();
    await letGo(writes[0]);
    await begun;
    await first.answer;
    const asked = [
      ask([put("1")], [noneFrom("d/", "d0")]),
      ask([remove("d/1")]),
      ask([put("2")], [noneFrom("d/", "d0")]),
      ask([put("d/2")]),
      ask([put("3")], [noneFrom("d/", "d0")]),
      ask([remove("d/2"), remove("d/2")]),
      ask([put("4")], [noneFrom("d/", "d0")]),
      ask([put("5")], [noneFrom("d/", "e0")]),
    ];
    const committing = ahead.commit();
    await writes[1]?.take();
    const later = ask([put("6")], [noneFrom("d/", "d0"), version("d/1", 0)]);
    writes[1]?.tell();
    await asked[0]?.answer;
    await letGo(writes[2]);
    await committing;
    const held = await Promise.all([...asked, later].map(async ({ answer }) => (await answer).succeeded));
    expect(held).toEqual([false, true, true, true, false, true, true, false, true]);
    expect(await asked[5]?.answer).toMatchObject({ results: [{ deleted: 1 }, { deleted: 0 }] });
  });

  it("takes nothing where the store cannot be written, or a write of it is unfinished", async () => {
    const unwritable = new Ahead({
      store: { ...heldStore(), isWritable: false, tables: store.tables },
      hub: new WatchHub({ read: () => Promise.resolve({ revisions: [], next: 0 }) }, 1),
      directory,
    });
    const step = { request: { compares: [], success: [put("a")], failure: [] }, resolve: () => {}, reject: () => {} };
    expect(unwritable.take(step)).toBe(false);
    await store.write(({ meta }) => meta.putSync(STATE_KEY, encodeState({ ...EMPTY_STATE, unfinished: true })));
    expect(ahead.take(step)).toBe(false);
    expect(ahead.isIdle).toBe(true);
  });
});
