import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MusterError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { WatchHub } from "../watch-hub.ts";
import type { Draft } from "./lmdb-draft.ts";
import { EMPTY_STATE, encodeState, STATE_KEY } from "./lmdb-schema.ts";
import { readKey } from "./lmdb-snapshot.ts";
import { LmdbStore } from "./lmdb-store.ts";
import { LmdbWriter } from "./lmdb-writer.ts";

let directory = "";
let now = 0;
let store: LmdbStore;
let writer: LmdbWriter;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-writer-"));
  store = await LmdbStore.open({ directory, isNew: true, log: silentLog });
  await store.write(({ meta }) => meta.putSync(STATE_KEY, encodeState(EMPTY_STATE)));
  const history = {
    read: () => {
      throw new MusterError("internal", "nobody watches here");
    },
  };
  now = 0;
  writer = new LmdbWriter({ store, hub: new WatchHub(history, 1), directory, monotonic: () => now });
});

afterEach(async () => {
  await writer.close();
  await store.close();
  await rm(directory, { recursive: true });
});

const put = (name: string) => (draft: Draft) => {
  draft.put({ key: Buffer.from(name), value: Buffer.from("v"), lease: 0n }, undefined);
  draft.finish();
};
const has = (name: string) => readKey(store.tables, Buffer.from(name), "newest") !== undefined;

describe("LmdbWriter", () => {
  it("submitBehind: has its turn in the next round, though a long line waits and takes a slice each", async () => {
    const done: string[] = [];
    const slow = (name: string) => (draft: Draft) => {
      put(name)(draft);
      now += 1000;
    };
    const line = ["a", "b", "c", "d"].map((name) => writer.submit(slow(name)).then(() => done.push(name)));
    const behind = writer.submitBehind(put("behind")).then(() => done.push("behind"));
    await Promise.all([...line, behind]);
    expect(done.indexOf("behind")).toBeLessThanOrEqual(done.indexOf("c"));
    expect(["a", "b", "c", "d", "behind"].every(has)).toBe(true);
    expect(writer.changes).toBe(5);
  });

  it("submitBehind: what throws after it has written leaves nothing, and disturbs nobody", async () => {
    const breaks = (draft: Draft) => {
      put("behind")(draft);
      throw new Error("broken");
    };
    const first = writer.submit(put("first"));
    const others = [writer.submit(put("a")), writer.submit(put("b"))];
    const broken = expect(writer.submitBehind(breaks)).rejects.toMatchObject({ code: "internal" });
    await Promise.all([first, ...others, broken]);
    expect(["first", "a", "b", "behind"].map(has)).toEqual([true, true, true, false]);
  });

  it("submitBehind: is refused with all others where the store cannot even be asked, and not tried for ever", async () => {
    await store.close();
    const refused = { code: "closed" };
    const others = expect(writer.submit(put("a"))).rejects.toMatchObject(refused);
    await expect(writer.submitBehind(put("behind"))).rejects.toMatchObject(refused);
    await others;
  });

  it("submitBehind: waits until a transaction that takes several rounds is done", async () => {
    const seen: number[] = [];
    const long = writer.submitSliced(function* (draft) {
      for (const name of ["a", "b", "c"]) {
        draft.put({ key: Buffer.from(name), value: Buffer.from("v"), lease: 0n }, undefined);
        yield;
      }
      draft.finish();
    });
    const behind = writer.submitBehind((draft) => seen.push(draft.revision, draft.currentRevision));
    const before = EMPTY_STATE.revision;
    await Promise.all([long, behind]);
    expect(seen).toEqual([before + 1, before + 1]);
    await expect(writer.close()).resolves.toBeUndefined();
    await expect(writer.submitBehind(() => {})).rejects.toMatchObject({ code: "closed" });
  });
});
