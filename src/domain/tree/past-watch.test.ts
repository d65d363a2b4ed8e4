import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RemoteEngine, SharedStore } from "../../../test/support/shared-store.ts";
import { utf8 } from "../../base/bytes.ts";
import { PastWatch } from "./past-watch.ts";
import { ROOT } from "./tree-path.ts";
import { WatchHub } from "./watch-hub.ts";

const EVENTS = 20;

let store: SharedStore;
let engine: RemoteEngine;
let watch: PastWatch;

beforeEach(async () => {
  store = new SharedStore({ seed: 2, clock: { now: () => 0, monotonic: () => 0 } });
  engine = store.connect();
  for (let count = 0; count < EVENTS; count++) {
    const request = { key: utf8(`/${count}`), value: utf8("x") };
    await engine.txn({ compares: [], success: [{ kind: "put", request }], failure: [] });
  }
  // The newest revision is another's: there is no event of ours by which it would be known that all has been told.
  await store.burn();
  const { revision: until } = await engine.status();
  const interest = { path: ROOT, recursive: true, index: until, from: 2 };
  const hub = new WatchHub(until);
  const live = hub.subscribe({ ...interest, from: until + 1 });
  watch = new PastWatch({ engine, interest, until, live, owner: ROOT });
});

afterEach(async () => {
  watch.close();
  await store.engine.close();
});

/** Takes events; the connection breaks after the fifth. */
async function takeBroken(meanwhile: () => Promise<void>): Promise<readonly string[]> {
  const paths: string[] = [];
  for await (const { node } of watch) {
    paths.push(node.path);
    if (paths.length === 5) {
      engine.cut();
      await meanwhile();
      engine.mend();
    }
    if (paths.length === EVENTS) break;
  }
  return paths;
}

describe("PastWatch", () => {
  it("goes on where it was when the connection breaks", async () => {
    const wanted = Array.from({ length: EVENTS }, (_, count) => `/${count}`);
    expect(await takeBroken(() => Promise.resolve())).toEqual(wanted);
  });

  it("says that its index is gone where the store has forgotten it meanwhile", async () => {
    await expect(takeBroken(() => store.compact())).rejects.toMatchObject({
      code: "eventIndexCleared",
      details: { cause: `the requested history has been cleared [${EVENTS + 2}/7]` },
    });
  });
});
