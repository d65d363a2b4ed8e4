import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_BYTES, text, utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import type { Engine } from "../engine.ts";
import { openLmdbEngine } from "./lmdb-engine.ts";
import { restoreSnapshot } from "./lmdb-restore.ts";

const KEYS = 5_000;

let scratch: string;
let engine: Engine;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "muster-restore-"));
  engine = await openLmdbEngine({ directory: join(scratch, "store"), clock: systemClock });
});

afterEach(async () => {
  await engine.close();
  await rm(scratch, { recursive: true });
});

function put(key: string, value: string, lease = 0n) {
  return { kind: "put", request: { key: utf8(key), value: utf8(value), lease } } as const;
}

const write = (key: string, value: string, lease?: bigint) =>
  engine.txn({ compares: [], success: [put(key, value, lease)], failure: [] });

/** The engine's snapshot with its checksum behind it, as etcdctl saves it. */
async function saved(name = "saved.db"): Promise<string> {
  const file = join(scratch, name);
  const snapshot = await engine.snapshot?.();
  const pieces: Uint8Array[] = [];
  for await (const piece of snapshot?.read() ?? []) pieces.push(piece);
  await snapshot?.close();
  const content = Buffer.concat(pieces);
  expect(content.length).toBe(snapshot?.size);
  await writeFile(file, Buffer.concat([content, createHash("sha256").update(content).digest()]));
  return file;
}

async function restored(file: string): Promise<Engine> {
  const directory = join(scratch, "restored");
  await restoreSnapshot({ file, directory });
  return openLmdbEngine({ directory, clock: systemClock });
}

describe("restoreSnapshot", () => {
  it("brings back keys, history, the compacted revision and leases", async () => {
    await engine.grantLease({ id: 7n, ttl: 600 });
    await write("a", "1");
    await write("\0internal", "kept");
    await write("a", "2", 7n);
    await engine.compact(2);
    const file = await saved();
    await write("a", "after the snapshot");
    await using other = disposable(await restored(file));
    const { engine: copy } = other;
    expect(await copy.status()).toEqual({ revision: 4, compactRevision: 2 });
    const now = await copy.range({ key: NO_BYTES, end: null });
    expect(now.kvs.map(({ key, value }) => [text(key), text(value)])).toEqual([
      ["\0internal", "kept"],
      ["a", "2"],
    ]);
    expect((await copy.range({ key: utf8("a"), revision: 3 })).kvs[0]).toMatchObject({ modRevision: 2 });
    expect(await copy.leaseStatus(7n, { keys: true })).toMatchObject({ grantedTtl: 600, keys: [Buffer.from("a")] });
    expect(await copy.txn({ compares: [], success: [put("b", "x")], failure: [] })).toMatchObject({ revision: 5 });
  });

  it("takes only what lives: a snapshot is smaller than a file with free pages", async () => {
    const value = "x".repeat(500);
    for (let from = 0; from < KEYS; from += 100) {
      const success = Array.from({ length: 100 }, (_, place) => put(`k${from + place}`, value));
      await engine.txn({ compares: [], success, failure: [] });
    }
    const all = { kind: "deleteRange", request: { key: utf8("k"), end: utf8("l") } } as const;
    await engine.txn({ compares: [], success: [all], failure: [] });
    const { revision } = await write("last", "one");
    await engine.compact(revision);
    await expect.poll(async () => (await engine.diskUse?.())?.oldestRevision).toBeGreaterThanOrEqual(revision);
    const use = await engine.diskUse?.();
    const { size } = await stat(await saved());
    expect(size).toBeLessThan((use?.fileBytes ?? 0) / 4);
  });

  it("leaves nothing of a snapshot in the data directory, nor what a process left that died", async () => {
    const directory = join(scratch, "store");
    await saved();
    expect(await readdir(directory)).not.toContainEqual(expect.stringMatching(/^snapshot-/));
    await engine.close();
    await mkdir(join(directory, "snapshot-abc"));
    await writeFile(join(directory, "snapshot-abc", "data.mdb"), "half");
    engine = await openLmdbEngine({ directory, clock: systemClock });
    expect(await readdir(directory)).not.toContain("snapshot-abc");
  });

  it("shows one moment, however much is written while it is read", async () => {
    await write("a", "1");
    const snapshot = await engine.snapshot?.();
    const pieces: Uint8Array[] = [];
    for await (const piece of snapshot?.read() ?? []) {
      pieces.push(piece);
      await write(`b${pieces.length}`, "later");
    }
    await snapshot?.close();
    const content = Buffer.concat(pieces);
    const file = join(scratch, "moment.db");
    await writeFile(file, Buffer.concat([content, createHash("sha256").update(content).digest()]));
    await using other = disposable(await restored(file));
    expect(await other.engine.status()).toMatchObject({ revision: 2 });
  });

  it("refuses a snapshot that was cut off, changed, or is none, and then leaves no store", async () => {
    await write("a", "1");
    const cut = await saved("cut.db");
    await truncate(cut, (await stat(cut)).size - 4096);
    const changed = await saved("changed.db");
    const content = await readFile(changed);
    content[5000] = (content[5000] ?? 0) ^ 1;
    await writeFile(changed, content);
    const other = join(scratch, "etcd.db");
    await writeFile(other, Buffer.alloc(20_000));
    const directory = join(scratch, "restored");
    const refusal = (message: RegExp) => ({ code: "configInvalid", message: expect.stringMatching(message) });
    await expect(restoreSnapshot({ file: cut, directory })).rejects.toMatchObject(refusal(/checksum/));
    await expect(restoreSnapshot({ file: changed, directory })).rejects.toMatchObject(refusal(/checksum/));
    await expect(restoreSnapshot({ file: other, directory })).rejects.toMatchObject(refusal(/none of Muster's/));
    await expect(restoreSnapshot({ file: join(scratch, "no"), directory })).rejects.toMatchObject(refusal(/ENOENT/));
    await expect(stat(join(directory, "FORMAT"))).rejects.toMatchObject({ code: "ENOENT" });
    await using sound = disposable(await restored(await saved()));
    expect(await sound.engine.status()).toMatchObject({ revision: 2 });
  });

  it("refuses a snapshot of a newer format, and says which", async () => {
    const content = (await readFile(await saved())).subarray(0, -32);
    content.write("muster-lmdb 99\n");
    const file = join(scratch, "newer.db");
    await writeFile(file, Buffer.concat([content, createHash("sha256").update(content).digest()]));
    const restoring = restoreSnapshot({ file, directory: join(scratch, "restored") });
    await expect(restoring).rejects.toThrow(/its format is 99, this Muster knows 1/);
  });

  it("refuses a directory that holds other things, in words for those who restore", async () => {
    const file = await saved();
    const directory = join(scratch, "others");
    await mkdir(directory);
    await writeFile(join(directory, "notes.txt"), "mine");
    const other = `Name a data directory that is empty or not there yet, not "${directory}"`;
    const restoring = () => restoreSnapshot({ file, directory });
    await expect(restoring()).rejects.toThrow(`${other}: it holds "notes.txt" and nothing of Muster's`);
    await writeFile(join(directory, "FORMAT"), "muster-lmdb 99\n");
    await expect(restoring()).rejects.toThrow(`${other}: it holds a store of a newer Muster`);
    await writeFile(join(directory, "FORMAT"), "muster-lmdb 1\n");
    await expect(restoring()).rejects.toThrow(`${other}: it holds a file FORMAT, but no data.mdb`);
  });

  it("refuses what is no file", async () => {
    const restoring = restoreSnapshot({ file: scratch, directory: join(scratch, "restored") });
    await expect(restoring).rejects.toThrow(`Name a whole snapshot of Muster's, not "${scratch}": it is no file`);
  });

  it("refuses a directory that holds a store, which stays as it is", async () => {
    await write("a", "1");
    const file = await saved();
    const directory = join(scratch, "store");
    const other = `Name a data directory that is empty or not there yet, not "${directory}"`;
    await expect(restoreSnapshot({ file, directory })).rejects.toMatchObject({
      code: "directoryInUse",
      message: `${other}: a running Muster uses it`,
    });
    await engine.close();
    const refusal = { code: "configInvalid", message: expect.stringContaining("holds a store") };
    await expect(restoreSnapshot({ file, directory })).rejects.toMatchObject(refusal);
    engine = await openLmdbEngine({ directory, clock: systemClock });
    expect(await engine.status()).toMatchObject({ revision: 2 });
  });
});

function disposable(opened: Engine) {
  return { engine: opened, [Symbol.asyncDispose]: () => opened.close() };
}
