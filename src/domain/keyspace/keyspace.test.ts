import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listing, outcome, program, type Step } from "../../../test/contract/programs.ts";
import { type Bytes, NO_BYTES, text, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import { openLmdbEngine } from "../../engine/lmdb/lmdb-engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Operation, RangeRequest, TxnRequest, TxnResult } from "../../engine/model.ts";
import { type Keyspace, openKeyspace } from "./keyspace.ts";

const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
const PROGRAMS = 60;

const ALL = { key: NO_BYTES, end: null };
const INTERNAL = ["\0", "\0a", "\0r/token", "\0\0"].map(utf8);

function put(key: Bytes | string, value = "v", lease = 0n): Operation {
  return { kind: "put", request: { key: bytes(key), value: utf8(value), lease } };
}

function bytes(key: Bytes | string): Bytes {
  return typeof key === "string" ? utf8(key) : key;
}

function write(...success: readonly Operation[]): TxnRequest {
  return { compares: [], success, failure: [] };
}

interface Store {
  readonly name: string;
  open(): Promise<Engine>;
  remove(): Promise<void>;
}

function lmdb(): Store {
  let directory = "";
  return {
    name: "lmdb",
    open: async () => {
      directory = await mkdtemp(join(tmpdir(), "muster-clients-"));
      return openLmdbEngine({ directory, clock: systemClock });
    },
    remove: () => rm(directory, { recursive: true }),
  };
}

const memory: Store = { name: "memory", open: async () => openMemoryEngine(), remove: async () => {} };

describe.each([memory, lmdb()])("openKeyspace on $name", (store) => {
  let engine: Engine;
  let keyspace: Keyspace;

  beforeEach(async () => {
    engine = await store.open();
    keyspace = openKeyspace(engine);
    await engine.txn(write(...INTERNAL.map((key) => put(key)), put("a"), put("b"), put("c")));
  });
  afterEach(async () => {
    await engine.close();
    await store.remove();
  });

  const keys = async (request: RangeRequest): Promise<readonly string[]> =>
    (await keyspace.range(request)).kvs.map(({ key }) => text(key));
  const internalKeys = async (): Promise<number> =>
    (await engine.range({ key: NO_BYTES, end: Uint8Array.of(1), countOnly: true })).count;

  it.each([
    ["from the empty key on", ALL],
    ['from "\\0" on', { key: Uint8Array.of(0), end: null }],
    ['from "\\0r" on', { key: utf8("\0r"), end: null }],
    ["from before the first to after the last", { key: NO_BYTES, end: utf8("d") }],
  ])("reads, counts and limits no internal key in a range %s", async (_title, range) => {
    expect(await keys(range)).toEqual(["a", "b", "c"]);
    expect(await keyspace.range({ ...range, limit: 2 })).toMatchObject({ count: 3, more: true });
    expect(await keyspace.range({ ...range, limit: 3 })).toMatchObject({ count: 3, more: false });
    expect(await keyspace.range({ ...range, countOnly: true })).toMatchObject({ count: 3 });
    expect(await keys({ ...range, limit: 1, sort: { target: "key", order: "descend" } })).toEqual(["c"]);
    expect(await keys({ ...range, limit: 1, sort: { target: "key", order: "ascend" } })).toEqual(["a"]);
    expect(await keys({ ...range, maxModRevision: 2, limit: 1 })).toEqual(["a"]);
  });

  it("finds nothing in a range of internal keys only, now and in the past", async () => {
    const nothing = { kvs: [], count: 0, more: false };
    expect(await keyspace.range({ key: utf8("\0a") })).toMatchObject(nothing);
    expect(await keyspace.range({ key: utf8("\0a"), revision: 2 })).toMatchObject(nothing);
    expect(await keyspace.range({ key: NO_BYTES, end: Uint8Array.of(1) })).toMatchObject(nothing);
    expect(await keyspace.range({ key: utf8("\0a"), end: utf8("\0z") })).toMatchObject(nothing);
  });

  it("refuses to read at a revision that is not there, also where nothing could be found", async () => {
    await expect(keyspace.range({ key: utf8("\0a"), revision: 9 })).rejects.toMatchObject({ code: "futureRevision" });
  });

  it("refuses to put an internal key, in whichever branch, and then writes nothing", async () => {
    const nested: Operation = { kind: "txn", request: { compares: [], success: [], failure: [put("\0z")] } };
    const unequal = { key: utf8("a"), target: "version", result: "equal", expected: 9 } as const;
    const attempts = [
      write(put("x"), put(Uint8Array.of(0))),
      { ...write(put("x")), failure: [put("\0a")] },
      write(put("x"), nested),
      { compares: [unequal], success: [put("\0a")], failure: [put("x")] },
    ];
    for (const attempt of attempts) {
      await expect(keyspace.txn(attempt)).rejects.toMatchObject({ code: "invalidArgument" });
    }
    expect(await keys(ALL)).toEqual(["a", "b", "c"]);
    expect(await internalKeys()).toBe(INTERNAL.length);
  });

  it("deletes no internal key, neither counts nor shows one", async () => {
    const remove = (request: RangeRequest): Operation => ({
      kind: "deleteRange",
      request: { ...request, prevKv: true },
    });
    const deleted = async (operation: Operation) => firstOf(await keyspace.txn(write(operation)));
    expect(await deleted(remove({ key: utf8("\0a") }))).toMatchObject({ deleted: 0, prevKvs: [] });
    const inner: Operation = { kind: "txn", request: write(remove({ key: NO_BYTES, end: utf8("b") })) };
    expect(await deleted(inner)).toMatchObject({ results: [{ deleted: 1 }] });
    const rest = await deleted(remove(ALL));
    expect(rest).toMatchObject({ deleted: 2 });
    expect(await internalKeys()).toBe(INTERNAL.length);
  });

  it("compares as if no internal key were there", async () => {
    const ranges = [{ key: utf8("\0a") }, { key: NO_BYTES, end: Uint8Array.of(1) }];
    for (const range of ranges) {
      const compares = [{ ...range, target: "version", result: "equal", expected: 0 } as const];
      expect(await keyspace.txn({ compares, success: [], failure: [] })).toMatchObject({ succeeded: true });
    }
    const young = { ...ALL, target: "version", result: "equal", expected: 1 } as const;
    await engine.txn(write(put("\0a")));
    expect(await keyspace.txn({ compares: [young], success: [], failure: [] })).toMatchObject({ succeeded: true });
  });

  it("tells a watch of no internal key, nor of a revision that changed nothing else", async () => {
    const watches = [keyspace.watch({ ...ALL, startRevision: 2 }), keyspace.watch({ key: utf8("\0a") })];
    await engine.txn(write(put("\0a")));
    await engine.txn(write(put("\0a"), put("d")));
    const told: string[] = [];
    for (const watch of watches) watch.requestProgress();
    for await (const message of watches[0] ?? []) {
      if (message.kind === "progress") break;
      told.push(...message.events.map(({ kv }) => `${text(kv.key)} ${message.revision}`));
    }
    for await (const message of watches[1] ?? []) {
      expect(message.kind).toBe("progress");
      break;
    }
    expect(told).toEqual(["a 2", "b 2", "c 2", "d 4"]);
  });

  it("tells no internal key of a lease", async () => {
    await keyspace.grantLease({ id: 7n, ttl: 60 });
    await engine.txn(write(put("\0a", "v", 7n), put("b", "v", 7n)));
    expect((await keyspace.leaseStatus(7n, { keys: true })).keys.map(text)).toEqual(["b"]);
    expect((await keyspace.leaseStatus(7n, { keys: false })).keys).toEqual([]);
  });
});

function firstOf({ results }: TxnResult): unknown {
  return results[0];
}

describe("openKeyspace", () => {
  /** A revision that leaves nothing that could be read. */
  const unseen = write(
    { kind: "txn", request: write(put("q")) },
    { kind: "txn", request: write({ kind: "deleteRange", request: { key: utf8("q") } }) },
  );

  it(`answers random programs as a store without internal keys (seed ${SEED})`, async () => {
    const options = { restarts: false, asEtcd: false };
    const property = fc.asyncProperty(program(options), async (steps) => {
      const [withInternal, without] = [openMemoryEngine(), openMemoryEngine()];
      const keyspace = openKeyspace(withInternal);
      try {
        for (const [place, step] of steps.filter((each) => !putsInternal(each)).entries()) {
          if (place % 3 === 0) {
            await withInternal.txn(write(...INTERNAL.map((key) => put(key, String(place)))));
            await without.txn(unseen);
          }
          expect(await outcome(keyspace, step, options), listing([step])).toEqual(
            await outcome(without, step, options),
          );
        }
      } finally {
        await withInternal.close();
        await without.close();
      }
    });
    await fc.assert(property, { seed: SEED, numRuns: PROGRAMS });
  });
});

function putsInternal(step: Step): boolean {
  return step.do === "txn" && putsInternalIn(step.request);
}

function putsInternalIn({ success, failure }: TxnRequest): boolean {
  return [...success, ...failure].some(
    (operation) =>
      (operation.kind === "put" && operation.request.key[0] === 0) ||
      (operation.kind === "txn" && putsInternalIn(operation.request)),
  );
}
