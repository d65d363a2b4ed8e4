import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import type { Engine } from "../engine.ts";
import { openLmdbEngine } from "./lmdb-engine.ts";

const ALL = { key: Buffer.alloc(0), end: null };
const MANY = 400;
const LARGE_BYTES = 10_000;
const PERMISSIONS = 0o777;

let directory: string;
let engine: Engine;

const open = () => openLmdbEngine({ directory, clock: systemClock });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-defragment-"));
  engine = await open();
});

afterEach(async () => {
  await engine.close();
  await rm(directory, { recursive: true });
});

const put = (key: string, value: string, lease = 0n) =>
  engine.txn({
    compares: [],
    success: [{ kind: "put", request: { key: utf8(key), value: utf8(value), lease } }],
    failure: [],
  });

const deleteAll = (key: string, end: string) =>
  engine.txn({
    compares: [],
    success: [{ kind: "deleteRange", request: { key: utf8(key), end: utf8(end) } }],
    failure: [],
  });

const putMany = () =>
  Promise.all(Array.from({ length: MANY }, (_, key) => put(`many/${key}`, "x".repeat(LARGE_BYTES))));

/** Deletes them and forgets that they were there; answers with the file's size then. */
async function forgetMany(): Promise<number> {
  await deleteAll("many/", "many0");
  // What the compacted revision itself deleted is kept for watches that begin there.
  const { revision } = await put("after", "the deletion");
  await engine.compact(revision, { physical: true });
  return fileBytes();
}

const fileBytes = async () => (await stat(join(directory, "data.mdb"))).size;

const defragment = async () => {
  expect(engine.defragment).toBeDefined();
  await engine.defragment?.();
};

async function content(revision = 0) {
  const { kvs } = await engine.range({ ...ALL, revision });
  return kvs.map(({ key, value, ...rest }) => ({ key: text(key), value: text(value), ...rest }));
}

describe("Engine.defragment", () => {
  it("gives the disk back what was deleted and compacted, and keeps all else, for who goes on and who starts anew", async () => {
    await engine.grantLease({ id: 7n, ttl: 600 });
    await putMany();
    await put("a", "1");
    await put("\0internal", "kept");
    await put("large", "y".repeat(300_000));
    const before = await forgetMany();
    const past = await engine.status();
    await put("a", "2", 7n);
    const kept = await Promise.all([content(), content(past.revision), engine.status(), engine.range(ALL)]);
    await defragment();
    const expected = kept.slice(0, 3);
    expect(await fileBytes()).toBeLessThan(before / 4);
    expect(await Promise.all([content(), content(past.revision), engine.status()])).toEqual(expected);
    expect(
      kept[3].kvs.map(({ value }) => text(value)),
      "what was read before",
    ).toEqual(kept[0].map(({ value }) => value));
    expect(await engine.leaseStatus(7n, { keys: true })).toMatchObject({ grantedTtl: 600, keys: [utf8("a")] });
    expect((await readdir(directory)).sort()).toEqual(["FORMAT", "LOCK", "data.mdb", "lock.mdb"]);
    expect((await stat(join(directory, "data.mdb"))).mode & PERMISSIONS).toBe(0o600);
    await engine.close();
    engine = await open();
    expect(await Promise.all([content(), content(past.revision), engine.status()])).toEqual(expected);
    expect(await engine.leases()).toEqual([7n]);
  });

  it("loses nothing that is written, read and watched meanwhile, however often it is asked for", async () => {
    await putMany();
    const watch = engine.watch(ALL);
    const { revision: first } = await engine.status();
    let over = false;
    const acknowledged = new Map<string, string>();
    const write = async (caller: number) => {
      for (let count = 0; !over; count++) {
        await put(`written/${caller}`, `${count}`);
        acknowledged.set(`written/${caller}`, `${count}`);
      }
    };
    const read = async () => {
      while (!over) expect(await engine.range(ALL)).toMatchObject({ more: false });
    };
    const running = Promise.all([write(0), write(1), write(2), read(), read()]);
    for (let round = 0; round < 10; round++) {
      await Promise.all([defragment(), defragment()]);
      // Some are written between two of them.
      await put("between", `${round}`);
    }
    over = true;
    await running;
    const { revision: last } = await engine.status();
    const seen: number[] = [];
    for await (const message of watch) {
      seen.push(message.revision);
      if (message.revision === last) break;
    }
    expect(seen, "revisions that were told").toEqual(Array.from({ length: last - first }, (_, at) => first + 1 + at));
    await engine.close();
    engine = await open();
    const found = new Map((await content()).map(({ key, value }) => [key, value]));
    expect(acknowledged.size).toBe(3);
    for (const [key, value] of acknowledged) expect(found.get(key), key).toBe(value);
  });

  it("goes on with a first write that frees very much", async () => {
    await putMany();
    await defragment();
    const { revision } = await deleteAll("many/", "many0");
    await engine.compact(revision, { physical: true });
    await putMany();
    expect(await content()).toHaveLength(MANY);
  });

  it("waits for a write that goes in pieces, and lets none begin until it is done", async () => {
    await engine.close();
    engine = await openLmdbEngine({ directory, clock: systemClock, writeSlice: { ms: 0, unitsPerLook: 1 } });
    await Promise.all(Array.from({ length: 50 }, (_, key) => put(`many/${key}`, "v")));
    const done: string[] = [];
    const deleted = deleteAll("many/", "many0").then(() => done.push("deleted"));
    await Promise.all([
      deleted,
      defragment().then(() => done.push("defragmented")),
      put("after", "v").then(() => done.push("put")),
    ]);
    expect(done.indexOf("deleted")).toBeLessThan(done.indexOf("defragmented"));
    expect(await content()).toMatchObject([{ key: "after" }]);
  });

  it("is refused where the engine is closed", async () => {
    await engine.close();
    await expect(engine.defragment?.()).rejects.toMatchObject({ code: "closed" });
  });

  it("goes on with the old file where the new one cannot take its place, and leaves no copy", async () => {
    await put("a", "1");
    // A name that no file can take.
    await rm(join(directory, "data.mdb"));
    await mkdir(join(directory, "data.mdb"));
    await expect(engine.defragment?.()).rejects.toMatchObject({ code: "storeUnavailable" });
    expect((await readdir(directory)).filter((name) => name.startsWith("snapshot-"))).toEqual([]);
    await put("b", "2");
    expect(await content()).toMatchObject([{ key: "a" }, { key: "b" }]);
  });
});
