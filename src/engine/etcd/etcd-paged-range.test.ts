import { expect, test } from "vitest";
import { text, utf8 } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { STORE_PAGE_KEYS } from "../../base/store-limits.ts";
import type { Engine } from "../engine.ts";
import { openMemoryEngine } from "../memory/memory-engine.ts";
import type { RangeRequest } from "../model.ts";
import { pagedRange } from "./etcd-paged-range.ts";

const MANY = 2 * STORE_PAGE_KEYS.first + 17;
const ALL = { key: Buffer.alloc(0), end: null };

async function filled(): Promise<Engine> {
  const engine = openMemoryEngine();
  const keys = Array.from({ length: MANY }, (_, at) => utf8(`k${String(at).padStart(5, "0")}`));
  for (let at = 0; at < keys.length; at += 100) {
    const success = keys.slice(at, at + 100).map((key) => ({ kind: "put", request: { key, value: key } }) as const);
    await engine.txn({ compares: [], success, failure: [] });
  }
  return engine;
}

test("pagedRange: many pages are one range, of one moment, whatever is written meanwhile", async () => {
  const engine = await filled();
  const asked: RangeRequest[] = [];
  const read = async (request: RangeRequest) => {
    const result = await engine.range(request);
    asked.push(request);
    const put = { key: utf8(`k00000${asked.length}`), value: utf8("new") };
    await engine.txn({ compares: [], success: [{ kind: "put", request: put }], failure: [] });
    return result;
  };
  const expected = await engine.range(ALL);
  expect(await pagedRange(ALL, read)).toEqual(expected);
  expect(asked.length).toBeGreaterThan(1);
  const limit = MANY - 5;
  const limited = await pagedRange({ ...ALL, limit, revision: expected.revision }, read);
  expect([limited.kvs.length, limited.more, limited.count]).toEqual([limit, true, MANY]);
  expect(limited.kvs).toEqual(expected.kvs.slice(0, limit));
  await engine.close();
});

test("pagedRange: is begun again where a compaction overtakes it, but not for ever, nor at a revision that was asked for", async () => {
  const engine = await filled();
  const { revision } = await engine.status();
  let refusals = 2;
  const read = (request: RangeRequest) => {
    const follows = text(request.key) !== "";
    if (follows && refusals-- > 0) return Promise.reject(new MusterError("compacted", "gone"));
    return engine.range(request);
  };
  expect((await pagedRange(ALL, read)).kvs.length).toBe(MANY);
  refusals = 1;
  await expect(pagedRange({ ...ALL, revision }, read)).rejects.toMatchObject({ code: "compacted" });
  refusals = Number.POSITIVE_INFINITY;
  await expect(pagedRange(ALL, read)).rejects.toMatchObject({ code: "storeUnavailable" });
  await engine.close();
});
