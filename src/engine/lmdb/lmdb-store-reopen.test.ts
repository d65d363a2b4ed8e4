import { setImmediate as nextTurn } from "node:timers/promises";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { silentLog } from "../../base/log.ts";
import { LmdbStore } from "./lmdb-store.ts";

/** An LMDB of which every commit fails for good, so that it has to be opened anew; what is done to it, in order. */
const world = vi.hoisted(() => ({
  calls: [] as string[],
  close: (): Promise<void> => Promise.resolve(),
  commit: (_apply: () => void): Promise<void> => Promise.resolve(),
}));

vi.mock("./lmdb-open.ts", async (importOriginal) => ({
  ...(await importOriginal<typeof import("./lmdb-open.ts")>()),
  openRoot: async () => {
    world.calls.push("open");
    return {
      root: {
        childTransaction: (apply: () => void) => world.commit(apply),
        resetReadTxn: () => {
          throw new Error("MDB_PANIC");
        },
        close: async () => {
          world.calls.push("close");
          await world.close();
          world.calls.push("closed");
        },
      },
      tables: {},
    };
  },
}));

/** As lmdb rejects when a commit failed. */
function failedCommit(): Error {
  return Object.assign(new Error("Commit failed"), { commitError: Promise.reject(new Error("EIO")) });
}

beforeEach(() => {
  world.calls = [];
  world.close = () => Promise.resolve();
});

const open = () => LmdbStore.open({ directory: "nowhere", isNew: true, log: silentLog });

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
    await vi.waitFor(() => expect(world.calls).toEqual(["open", "close"]));
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
