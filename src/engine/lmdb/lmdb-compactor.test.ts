import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { COMPACTION_STEP_BYTES, COMPACTION_STEP_CHANGES } from "../../base/compaction-limits.ts";
import { MusterError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { WatchHub } from "../watch-hub.ts";
import { LmdbCompactor } from "./lmdb-compactor.ts";
import type { Draft } from "./lmdb-draft.ts";
import { EMPTY_STATE, encodeState, STATE_KEY } from "./lmdb-schema.ts";
import { readKey, readVersion } from "./lmdb-snapshot.ts";
import { LmdbStore } from "./lmdb-store.ts";
import { LmdbWriter } from "./lmdb-writer.ts";

const K = Buffer.from("k");

let directory = "";
let store: LmdbStore;
let writer: LmdbWriter;
let compactor: LmdbCompactor;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-compactor-"));
  store = await LmdbStore.open({ directory, isNew: true, log: silentLog });
  await store.write(({ meta }) => meta.putSync(STATE_KEY, encodeState(EMPTY_STATE)));
  const history = {
    read: () => {
      throw new MusterError("internal", "nobody watches here");
    },
  };
  writer = new LmdbWriter({ store, hub: new WatchHub(history, 1), directory, monotonic: () => 0 });
  compactor = new LmdbCompactor(writer, silentLog);
  for (let revision = 2; revision <= 10; revision++) {
    await writer.submit((draft) => {
      draft.put({ key: K, value: Buffer.from(`${revision}`), lease: 0n }, readVersion(draft.tables, K, "newest"));
      draft.finish();
    });
  }
});

afterEach(async () => {
  await compactor.stop();
  await writer.close();
  await store.close();
  await rm(directory, { recursive: true });
});

const valueAt = (revision: number) => readKey(store.tables, K, revision)?.value.toString();
/** A step of the compactor goes along with each round of the writer's: when these have come back, some are done. */
const settle = async () => {
  for (let round = 0; round < 4; round++) {
    await writer.submit(() => {});
  }
};

describe("LmdbCompactor", () => {
  it("start: frees what no revision from the mark on shows", async () => {
    await writer.submit((draft) => draft.setCompactRevision(6));
    compactor.start();
    await settle();
    expect(store.tables.revs.getCount()).toBe(5);
    expect([...store.tables.past.getValues(K)].map(([mod]) => mod)).toEqual([5, 6, 7, 8, 9]);
    expect([6, 7, 8, 9, 10].map(valueAt)).toEqual(["6", "7", "8", "9", "10"]);
  });

  it("pin: keeps what a long read still looks at, and no longer", async () => {
    const release = compactor.pin(3);
    const other = compactor.pin(3);
    await writer.submit((draft) => draft.setCompactRevision(9));
    compactor.start();
    await settle();
    expect(store.tables.revs.getCount()).toBe(8);
    expect(valueAt(3)).toBe("3");
    release();
    await settle();
    expect(valueAt(3)).toBe("3");
    other();
    await settle();
    expect(store.tables.revs.getCount()).toBe(2);
    expect(valueAt(9)).toBe("9");
  });

  it("start: frees nothing by a mark that is not durable yet, as reads may still begin before it", async () => {
    // In this order the compactor's step comes in the same round as the mark, and behind it.
    compactor.start();
    await writer.submit((draft) => draft.setCompactRevision(9));
    await settle();
    expect(store.tables.revs.getCount()).toBe(9);
    compactor.start();
    await settle();
    expect(store.tables.revs.getCount()).toBe(2);
  });

  it("start: frees a bounded number of bytes at a time", async () => {
    for (let revision = 11; revision <= 20; revision++) {
      await writer.submit((draft) => {
        const old = readVersion(draft.tables, K, "newest");
        draft.put({ key: K, value: Buffer.alloc(COMPACTION_STEP_BYTES / 2), lease: 0n }, old);
        draft.finish();
      });
    }
    await writer.submit((draft) => draft.setCompactRevision(20));
    compactor.start();
    await writer.submit(() => {});
    // The small ones, the first large one, which still has nothing large before it, and two more.
    expect(store.tables.revs.getCount()).toBe(19 - 9 - 1 - 2);
    for (let step = 0; step < 4; step++) {
      await settle();
    }
    expect(store.tables.revs.getCount()).toBe(1);
  });

  it("start: keeps up with those who write more at a time than a batch frees, however long their line is", async () => {
    const keys = Array.from({ length: 5 * COMPACTION_STEP_CHANGES }, (_, number) => Buffer.from(`${number}`));
    const overwrite = (draft: Draft) => {
      for (const key of keys) {
        draft.put({ key, value: K, lease: 0n }, readVersion(draft.tables, key, "newest"));
      }
      draft.setCompactRevision(draft.finish());
    };
    let most = 0;
    for (let round = 0; round < 20; round++) {
      await Promise.all([writer.submit(overwrite), writer.submit(() => compactor.start())]);
      most = Math.max(most, store.tables.revs.getCount());
    }
    expect(most).toBeGreaterThan(keys.length);
    expect(most).toBeLessThan(5 * keys.length);
  });

  it("stop: ends it, though there is more", async () => {
    await compactor.stop();
    await writer.submit((draft) => draft.setCompactRevision(9));
    compactor.start();
    await settle();
    expect(store.tables.revs.getCount()).toBe(9);
  });
});
