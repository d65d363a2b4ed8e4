import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { PATIENTLY } from "../../../test/support/until.ts";
import { MusterError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { LmdbStore } from "./lmdb-store.ts";

/** An LMDB of which every commit fails for good, so that it has to be opened anew; what is done to it, in order. */
const world = vi.hoisted(() => ({
  calls: [] as string[],
  isReadable: false,
  sync: (): Promise<void> => Promise.resolve(),
  close: (): Promise<void> => Promise.resolve(),
  commit: (_apply: () => void): Promise<void> => Promise.resolve(),
}));

vi.mock("./lmdb-open.ts", async (importOriginal) => ({
  ...(await importOriginal<typeof import("./lmdb-open.ts")>()),
  syncData: () => world.sync(),
  openRoot: async () => {
    world.calls.push("open");
    return {
      root: {
        childTransaction: (apply: () => void) => world.commit(apply),
        resetReadTxn: () => {
          if (!world.isReadable) {
            throw new Error("MDB_PANIC");
          }
        },
        close: async () => {
          world.calls.push("close");
          await world.close();
          world.calls.push("closed");
        },
      },
      tables: { meta: { getBinary: () => Buffer.alloc(0) } },
    };
  },
}));

/** As lmdb rejects when a commit failed. */
function failedCommit(): Error {
  return Object.assign(new Error("Commit failed"), {
    commitError: Promise.reject(Object.assign(new Error("EIO"), { code: 5 })),
  });
}

beforeEach(() => {
  world.calls = [];
  world.isReadable = false;
  world.close = () => Promise.resolve();
});

const open = () => LmdbStore.open({ directory: "nowhere", isNew: true, log: silentLog });

describe("LmdbStore.goOnWith", () => {
  it("writes nothing to the old file once the new one has its name, though that cannot be synced, and reads on", async () => {
    const directory = await mkdtemp(join(tmpdir(), "muster-store-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    await writeFile(join(directory, "copy"), "new");
    world.isReadable = true;
    const store = await LmdbStore.open({ directory, isNew: true, log: silentLog });
    const commit = vi.fn(() => Promise.resolve());
    world.commit = commit;
    world.sync = () => Promise.reject(new Error("EIO"));
    await expect(store.goOnWith(join(directory, "copy"))).rejects.toMatchObject({ code: "storeUnavailable" });
    expect(await readFile(join(directory, "data.mdb"), "utf8")).toBe("new");
    await expect(store.write(() => {})).rejects.toMatchObject({ code: "storeUnavailable" });
    expect(await store.read(() => "seen")).toBe("seen");
    expect([commit.mock.calls.length, world.calls]).toEqual([0, ["open"]]);
    world.sync = () => Promise.resolve();
    await store.write(() => {});
    expect([commit.mock.calls.length, world.calls]).toEqual([1, ["open", "close", "closed", "open"]]);
    await store.close();
  });

  it("changes nothing where the new file cannot take the name", async () => {
    const store = await open();
    await expect(store.goOnWith("nowhere/copy")).rejects.toMatchObject({ code: "storeUnavailable" });
    world.commit = () => Promise.resolve();
    await store.write(() => {});
    expect(world.calls).toEqual(["open"]);
    await store.close();
  });
});

describe("LmdbStore: after a failure that LMDB does not get over", () => {
  it("ready: waits until what failed is closed, then opens it once", async () => {
    const store = await open();
    let release = () => {};
    world.close = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    world.commit = () => Promise.reject(failedCommit());
    const written = store.write(() => {});
    written.catch(() => {});
    await vi.waitFor(() => expect(world.calls).toEqual(["open", "close"]), PATIENTLY);
    const ready = Promise.all([store.ready(), store.ready()]);
    await nextTurn();
    expect(world.calls).toEqual(["open", "close"]);
    release();
    await ready;
    await expect(written).rejects.toMatchObject({ code: "storeUnavailable", message: expect.stringContaining("EIO") });
    expect(world.calls).toEqual(["open", "close", "closed", "open"]);
    world.close = () => Promise.resolve();
    await store.close();
  });

  it("write: opens anew after a failure, though LMDB can be read, unless the disk is not well at all", async () => {
    world.isReadable = true;
    const store = await open();
    world.commit = () => Promise.reject(failedCommit());
    await expect(store.write(() => {})).rejects.toMatchObject({ message: expect.stringContaining("EIO") });
    expect(world.calls).toEqual(["open"]);
    world.sync = () => Promise.reject(new Error("EROFS"));
    await expect(store.write(() => {})).rejects.toMatchObject({ message: expect.stringContaining("EIO") });
    expect(world.calls).toEqual(["open"]);
    expect(await store.read(() => "seen")).toBe("seen");
    world.sync = () => Promise.resolve();
    world.commit = () => Promise.resolve();
    await store.write(() => {});
    await store.write(() => {});
    expect(world.calls).toEqual(["open", "close", "closed", "open"]);
    await store.close();
  });

  it("read: one that LMDB refused because a write broke it is taken once more, after what memory took up", async () => {
    const store = await open();
    let fail = () => {};
    world.commit = () =>
      new Promise((_resolve, reject) => {
        fail = () => reject(failedCommit());
      });
    const panic = Object.assign(new Error("MDB_PANIC"), { code: 22 });
    const written = store.write(() => {});
    written.catch(() => {});
    const looked = vi.fn<() => string>().mockImplementationOnce(() => {
      throw panic;
    });
    const read = store.read(looked.mockReturnValue("seen"));
    expect(
      store.lookNow(() => {
        throw panic;
      }),
    ).toBeUndefined();
    let takeUp = () => {};
    const takenUp = vi.fn(
      () =>
        new Promise<void>((resolve) => {
          takeUp = resolve;
        }),
    );
    store.onReopen(takenUp);
    await nextTurn();
    expect(looked).toHaveBeenCalledOnce();
    fail();
    await vi.waitFor(() => expect(takenUp).toHaveBeenCalled(), PATIENTLY);
    expect(store.lookNow(() => "seen")).toBeUndefined();
    const [late, write] = [store.read(() => "late"), store.write(() => {})];
    await nextTurn();
    expect(looked).toHaveBeenCalledOnce();
    takeUp();
    expect(await Promise.all([read, late])).toEqual(["seen", "late"]);
    expect(store.lookNow(() => "seen")).toBe("seen");
    world.commit = () => Promise.resolve();
    write.catch(() => {});
    await store.close();
  });

  it("read: what the look itself refuses comes back at once, and LMDB's own errors by a name", async () => {
    const store = await open();
    const refuse = vi.fn(() => {
      throw new MusterError("compacted", "gone");
    });
    await expect(store.read(refuse)).rejects.toMatchObject({ code: "compacted" });
    expect(refuse).toHaveBeenCalledOnce();
    const broken = store.read(() => {
      throw Object.assign(new Error("MDB_CORRUPTED"), { code: -30796 });
    });
    await expect(broken).rejects.toMatchObject({ code: "storeUnavailable" });
    await store.close();
  });

  it("write: what its callback threw comes back, and the failed commit beside it is not left unhandled", async () => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const store = await open();
    const broken = new Error("broken");
    world.commit = async (apply) => {
      try {
        apply();
      } catch {
        throw failedCommit();
      }
    };
    const written = store.write(() => {
      throw broken;
    });
    await expect(written).rejects.toBe(broken);
    await nextTurn();
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    await store.close();
  });
});
