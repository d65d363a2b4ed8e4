import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_BYTES, text, utf8 } from "../../src/base/bytes.ts";
import { MusterError } from "../../src/base/errors.ts";
import { refuseHalfImport } from "../../src/domain/move/half-import.ts";
import { importStore } from "../../src/domain/move/import-store.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { importIntoLmdb } from "../../src/engine/lmdb/lmdb-import.ts";
import type { KeyValue, TxnRequest, TxnResult } from "../../src/engine/model.ts";
import { MovingPlace, opened } from "../support/moving.ts";

const PATIENCE_MS = 20_000;

let place: MovingPlace;
let source: Engine;
let target: Engine;

beforeEach(async () => {
  place = await MovingPlace.make();
  source = place.memory();
  target = place.memory();
});

afterEach(() => place[Symbol.asyncDispose]());

const put = (engine: Engine, keys: readonly string[], lease = 0n) =>
  engine.txn({
    compares: [],
    success: keys.map((key) => ({ kind: "put", request: { key: utf8(key), value: utf8(key), lease } })),
    failure: [],
  });

async function keysOf(engine: Engine): Promise<readonly string[]> {
  const { kvs } = await engine.range({ key: NO_BYTES, end: null });
  return kvs.map(({ key }) => text(key));
}

async function importAll(engine: Engine, options: { readonly again?: boolean } = {}): Promise<void> {
  using file = opened(await place.export(source));
  await importStore({ engine, file: file.export, again: options.again ?? false, patienceMs: PATIENCE_MS });
}

/** The engine with another `txn`, which has the real one at hand. */
function withTxn(engine: Engine, txn: (request: TxnRequest) => Promise<TxnResult>): Engine {
  return new Proxy(engine, {
    get: (of, name) => {
      if (name === "txn") return txn;
      const own: unknown = Reflect.get(of, name);
      return typeof own === "function" ? own.bind(of) : own;
    },
  });
}

describe("importStore", () => {
  it("keeps what has to be added to revisions, and leaves no mark", async () => {
    for (let n = 0; n < 20; n++) await put(source, ["a"]);
    await importAll(target);
    expect(await keysOf(target)).toEqual(["\0store/offset", "a"]);
    const { kvs } = await target.range({ key: utf8("\0store/offset") });
    // The source's revision is 21; that of the import's mark, its first, was 2.
    expect(text(kvs[0]?.value ?? NO_BYTES)).toBe("19");
    await refuseHalfImport(target);
  });

  it("refuses a place that has keys or leases, by the name of one", async () => {
    await put(source, ["a"]);
    await target.grantLease({ id: 5n, ttl: 60 });
    await expect(importAll(target)).rejects.toMatchObject({
      code: "configInvalid",
      message: expect.stringContaining('"5"'),
    });
    await put(target, ["theirs"]);
    await expect(importAll(target)).rejects.toMatchObject({ message: expect.stringContaining('"theirs"') });
    await expect(importAll(target, { again: true })).rejects.toMatchObject({
      message: expect.stringContaining('"theirs"'),
    });
    expect(await keysOf(target)).toEqual(["theirs"]);
  });

  it("writes keys that are more than a transaction may have in the one revision that they had", async () => {
    const names = Array.from({ length: 128 }, (_, n) => `k${n}`);
    const parts = [0, 1, 2, 3, 4].map((part) => names.map((name) => `${part}${name}`));
    await source.txn({
      compares: [],
      success: parts.map((keys) => ({
        kind: "txn",
        request: {
          compares: [],
          success: keys.slice(0, 100).map((key) => ({ kind: "put", request: { key: utf8(key), value: NO_BYTES } })),
          failure: [],
        },
      })),
      failure: [],
    });
    await importAll(target);
    const { kvs } = await target.range({ key: utf8("0"), end: utf8("5") });
    expect(kvs).toHaveLength(500);
    expect(new Set(kvs.map(({ modRevision }) => modRevision)).size).toBe(1);
  });

  it("does each step once, whatever becomes of the answers", async () => {
    await source.grantLease({ id: 9n, ttl: 60 });
    for (const key of ["a", "b", "c"]) await put(source, [key], 9n);
    const whole = withTxn(target, flaky(target));
    await importAll(whole);
    const { kvs } = await target.range({ key: utf8("a"), end: null });
    expect(kvs.map(({ key, version, lease }) => [text(key), version, lease])).toEqual([
      ["a", 1, 9n],
      ["b", 1, 9n],
      ["c", 1, 9n],
    ]);
    expect(kvs.map(({ modRevision }) => modRevision)).toEqual([...kvs.map(byRevision)].sort((a, b) => a - b));
  });

  /** From the fourth write on every answer but each third is lost; what was asked for is done or not in turns. */
  function flaky(engine: Engine): (request: TxnRequest) => Promise<TxnResult> {
    let calls = 0;
    return async (request) => {
      calls++;
      if (calls < 4 || calls % 3 === 0) return engine.txn(request);
      if (calls % 2 === 0) await engine.txn(request);
      throw new MusterError("outcomeUnknown", "Wait: etcd does not answer");
    };
  }

  it("leaves an empty place where it fails, and says which keys etcd would not take", async () => {
    await source.grantLease({ id: 9n, ttl: 60 });
    await put(source, ["small"], 9n);
    await put(source, ["large", "with it"]);
    const narrow = withTxn(target, async (request) => {
      if (
        JSON.stringify(request.success, (_, value: unknown) => (typeof value === "bigint" ? "" : value)).includes(
          hexOf("large"),
        )
      ) {
        throw new MusterError("tooLarge", "etcdserver: request is too large");
      }
      return target.txn(request);
    });
    await expect(importAll(narrow)).rejects.toMatchObject({
      code: "tooLarge",
      message: expect.stringMatching(/--max-request-bytes: 2 keys .*"large"/),
    });
    expect(await keysOf(target)).toEqual([]);
    expect(await target.leases()).toEqual([]);
    await importAll(target);
    expect(await target.leases()).toEqual([9n]);
  });

  it("half of one that died is served to nobody, and goes only if that is asked for", async () => {
    for (const key of ["a", "b", "c"]) await put(source, [key]);
    let calls = 0;
    const dying = withTxn(target, async (request) => {
      if (++calls > 3) throw new MusterError("closed", "The process is gone");
      return target.txn(request);
    });
    await expect(importAll(dying)).rejects.toMatchObject({ code: "closed" });
    expect(await keysOf(target)).toEqual(["\0store/import", "a", "b"]);
    await expect(refuseHalfImport(target)).rejects.toMatchObject({ message: expect.stringContaining("--again") });
    await expect(importAll(target)).rejects.toMatchObject({ message: expect.stringContaining("--again") });
    await importAll(target, { again: true });
    expect(await keysOf(target)).toEqual(["\0store/offset", "a", "b", "c"]);
  });
});

describe("importIntoLmdb", () => {
  const moment = (keys: Iterable<KeyValue>) => ({ revision: 7, leases: [], keys });
  const kv = (key: string): KeyValue => ({
    key: utf8(key),
    value: utf8("1"),
    createRevision: 3,
    modRevision: 7,
    version: 2,
    lease: 0n,
  });

  it("forgets what happened before it instead of saying that nothing did", async () => {
    const directory = place.path();
    await importIntoLmdb({ directory, moment: moment([kv("a")]), again: false });
    const engine = await place.lmdb(directory);
    const watch = engine.watch({ key: utf8("a"), startRevision: 7 });
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "compacted",
      details: { compactRevision: 8 },
    });
    await expect(engine.range({ key: utf8("a"), revision: 7 })).rejects.toMatchObject({ code: "compacted" });
    expect((await put(engine, ["b"])).revision).toBe(9);
  });

  it("leaves an empty place where it fails", async () => {
    const directory = place.path();
    const tooLong = importIntoLmdb({ directory, moment: moment([kv("a"), kv("k".repeat(2_000))]), again: false });
    await expect(tooLong).rejects.toMatchObject({ code: "keyTooLong" });
    expect(await readdir(directory)).not.toContain("FORMAT.new");
    const engine = await place.lmdb(directory);
    expect(await engine.status()).toEqual({ revision: 1, compactRevision: 0 });
  });

  it("refuses a directory that holds a store or anything else", async () => {
    const directory = place.path();
    await importIntoLmdb({ directory, moment: moment([kv("a")]), again: false });
    for (const again of [false, true]) {
      await expect(importIntoLmdb({ directory, moment: moment([]), again })).rejects.toMatchObject({
        code: "configInvalid",
        message: expect.stringContaining("it holds a store"),
      });
    }
    await writeFile(join(place.directory, "notes"), "");
    await expect(
      importIntoLmdb({ directory: place.directory, moment: moment([]), again: false }),
    ).rejects.toMatchObject({
      message: expect.stringContaining("empty or not there yet"),
    });
  });

  it("half of one that died is opened by nobody, and goes only if that is asked for", async () => {
    const directory = place.path();
    const dies = function* () {
      yield kv("a");
      throw new Error("the process is gone");
    };
    await expect(importIntoLmdb({ directory, moment: moment(dies()), again: false })).rejects.toThrow("is gone");
    // A process that dies cannot tidy up: its note is still there.
    await writeFile(join(directory, "FORMAT.new"), "muster-lmdb 1\nimport\n");
    await expect(place.lmdb(directory)).rejects.toMatchObject({ message: expect.stringContaining("--again") });
    await expect(importIntoLmdb({ directory, moment: moment([]), again: false })).rejects.toMatchObject({
      message: expect.stringContaining("--again"),
    });
    await importIntoLmdb({ directory, moment: moment([kv("b")]), again: true });
    expect(await keysOf(await place.lmdb(directory))).toEqual(["b"]);
  });
});

function byRevision({ modRevision }: KeyValue): number {
  return modRevision;
}

/** How a Buffer's first bytes look as JSON. */
function hexOf(of: string): string {
  return JSON.stringify([...Buffer.from(of)]).slice(1, -1);
}
