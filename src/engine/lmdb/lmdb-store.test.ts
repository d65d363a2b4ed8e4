import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { LMDB_LEAST_MAP_BYTES, LMDB_MAP_BYTES, MAX_KEY_BYTES } from "../../base/limits.ts";
import { silentLog } from "../../base/log.ts";
import { checkLmdbFile } from "./lmdb-file-check.ts";
import { mapSizeFor, openRoot, type Tables } from "./lmdb-open.ts";
import { LmdbStore } from "./lmdb-store.ts";

const K = Buffer.from("k");

let directory = "";
let store: LmdbStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-store-"));
  store = await LmdbStore.open({ directory, isNew: true, log: silentLog });
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

/** Whether this machine lets a process limit the size of its own files, which fails writes like a full disk. */
function canLimit(): boolean {
  try {
    execFileSync("prlimit", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

function limitFileSize(bytes: number | "unlimited"): void {
  execFileSync("prlimit", [`--pid=${process.pid}`, `--fsize=${bytes}:unlimited`]);
}

describe("LmdbStore", () => {
  it("write: once resolved, every read sees it, also in a turn that read before", async () => {
    for (let round = 0; round < 50; round++) {
      const value = Buffer.from(`${round}`);
      const written = store.write(({ keys }) => keys.putSync(K, value));
      let done = false;
      const watching = written.then(() => {
        done = true;
      });
      while (!done) {
        // A read transaction is open whenever the commit happens to end.
        store.tables.keys.getBinary(K);
        await nextTurn();
      }
      await watching;
      expect(store.tables.keys.getBinary(K)).toEqual(value);
    }
  });

  it("write: what is under way is not seen by reads", async () => {
    await store.write(({ keys }) => keys.putSync(K, Buffer.from("old")));
    // Another opening of the same files: it reads within the callback, when nothing can be committed yet.
    const reader = await openRoot({ directory, isNew: false });
    const committed = () => {
      reader.root.resetReadTxn();
      return reader.tables.keys.getBinary(K)?.toString();
    };
    const seen: unknown[] = [];
    await store.write(({ keys }) => {
      keys.putSync(K, Buffer.from("new"));
      seen.push(keys.getBinary(K)?.toString(), committed());
    });
    expect(seen).toEqual(["new", "old"]);
    expect(store.tables.keys.getBinary(K)?.toString()).toBe("new");
    expect(committed()).toBe("new");
    await reader.root.close();
  });

  it("write: a callback that throws leaves nothing, and its error comes back", async () => {
    const broken = new Error("broken");
    const written = store.write(({ keys }) => {
      keys.putSync(K, Buffer.from("half"));
      throw broken;
    });
    await expect(written).rejects.toBe(broken);
    expect(store.tables.keys.getBinary(K)).toBeUndefined();
    await store.write(({ keys }) => keys.putSync(K, Buffer.from("whole")));
    expect(store.tables.keys.getBinary(K)?.toString()).toBe("whole");
  });

  it("open: finds what was written, and refuses a directory that lacks its tables", async () => {
    await store.write(({ keys }) => keys.putSync(K, Buffer.from("v")));
    await store.close();
    store = await LmdbStore.open({ directory, isNew: false, log: silentLog });
    expect(store.tables.keys.getBinary(K)?.toString()).toBe("v");
    const other = await mkdtemp(join(tmpdir(), "muster-store-"));
    await expect(LmdbStore.open({ directory: other, isNew: false, log: silentLog })).rejects.toMatchObject({
      code: "directoryCorrupt",
      message: expect.stringContaining('no table "keys"'),
    });
    await rm(other, { recursive: true });
  });

  it("open: a small map grows by itself", async () => {
    await store.close();
    store = await LmdbStore.open({ directory, isNew: false, log: silentLog, mapSize: 2 ** 18 });
    for (let round = 0; round < 20; round++) {
      await store.write(({ keys }) => keys.putSync(Buffer.from(`k${round}`), Buffer.alloc(100_000, round)));
    }
    expect(store.tables.keys.getBinary(Buffer.from("k0"))).toEqual(Buffer.alloc(100_000, 0));
    expect(store.tables.keys.getBinary(Buffer.from("k19"))).toEqual(Buffer.alloc(100_000, 19));
  });

  it("open: a file that LMDB may not open is told, and ends nothing", async () => {
    const other = await mkdtemp(join(tmpdir(), "muster-store-"));
    onTestFinished(() => rm(other, { recursive: true }));
    // In the place of LMDB's own lock file.
    await mkdir(join(other, "lock.mdb"));
    await expect(LmdbStore.open({ directory: other, isNew: true, log: silentLog })).rejects.toMatchObject({
      code: "storeUnavailable",
      message: expect.stringContaining("EISDIR"),
    });
  });

  it("write: a compacted copy takes a first one that frees more pages than LMDB lists on one", async () => {
    const names = Array.from({ length: 400 }, (_, at) => Buffer.from(`k${at}`));
    const putAll = (value: number) => (tables: Tables) => {
      for (const name of names) tables.keys.putSync(name, Buffer.alloc(3000, value));
    };
    await store.write(putAll(1));
    const place = await mkdtemp(join(tmpdir(), "muster-store-"));
    onTestFinished(() => rm(place, { recursive: true }));
    await store.copyInto(place);
    const copy = await LmdbStore.open({ directory: place, isNew: false, log: silentLog });
    onTestFinished(() => copy.close());
    // Without the list's first entry LMDB ends the process here.
    await Promise.all([copy.write(putAll(2)), copy.write(putAll(3))]);
    await copy.write(putAll(4));
    const written = Buffer.alloc(3000, 4);
    expect(names.filter((name) => copy.tables.keys.getBinary(name)?.equals(written) !== true)).toEqual([]);
    expect(checkLmdbFile(join(place, "data.mdb"))).toBeUndefined();
  });

  it("mapSizeFor: takes a part of a limited address space, and no more than it needs of a wide one", () => {
    expect(mapSizeFor(Number.POSITIVE_INFINITY)).toBe(LMDB_MAP_BYTES);
    expect(mapSizeFor(2 ** 36)).toBe(2 ** 32);
    expect(mapSizeFor(2 ** 20)).toBe(LMDB_LEAST_MAP_BYTES);
  });

  it("tables: hold the longest key, also beside its versions and below a lease", async () => {
    const longest = Buffer.alloc(MAX_KEY_BYTES, "k");
    await store.write(({ keys, past, leaseKeys }) => {
      keys.putSync(longest, Buffer.from("v"));
      for (let index = 0; index < 1000; index++) {
        past.putSync(longest, [index, index + 1, 0]);
      }
      leaseKeys.putSync(Buffer.alloc(8), longest);
      leaseKeys.putSync(Buffer.alloc(8), Buffer.alloc(MAX_KEY_BYTES, "l"));
    });
    expect(store.tables.keys.getBinary(longest)?.toString()).toBe("v");
    expect(store.tables.past.getValuesCount(longest)).toBe(1000);
    expect([...store.tables.leaseKeys.getValues(Buffer.alloc(8))]).toHaveLength(2);
  });

  it.skipIf(!canLimit())(
    "write: fails with the reason while the disk gives no room, and works again afterwards",
    async () => {
      await store.write(({ keys }) => keys.putSync(K, Buffer.from("before")));
      const ignore = () => {};
      // lmdb itself prints every failed commit.
      vi.spyOn(console, "error").mockImplementation(ignore);
      process.on("SIGXFSZ", ignore);
      limitFileSize(2 ** 20);
      try {
        for (let round = 0; round < 5; round++) {
          const written = store.write(({ keys }) => keys.putSync(K, Buffer.alloc(2 ** 21)));
          await expect(written).rejects.toMatchObject({
            code: "storeUnavailable",
            message: expect.stringMatching(/File too large|Input\/output error/),
            cause: expect.any(Error),
          });
          expect(store.tables.keys.getBinary(K)?.toString()).toBe("before");
        }
      } finally {
        limitFileSize("unlimited");
        process.off("SIGXFSZ", ignore);
        vi.restoreAllMocks();
      }
      await store.write(({ keys }) => keys.putSync(K, Buffer.from("after")));
      expect(store.tables.keys.getBinary(K)?.toString()).toBe("after");
    },
  );
});
