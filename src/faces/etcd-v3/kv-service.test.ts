import { afterEach, beforeEach, expect, it } from "vitest";
import { type MusterV3, startMusterV3 } from "../../../test/support/muster-v3.ts";
import { type Outcome, V3Client } from "../../../test/support/v3-client.ts";
import { utf8 } from "../../base/bytes.ts";
import type { Operation } from "../../engine/model.ts";
import { Status } from "../../grpc/status.ts";

const MAX_REQUEST_BYTES = 1536 * 1024;
const ALL = { key: Buffer.of(0), range_end: Buffer.of(0) };

let muster: MusterV3;
let client: V3Client;

beforeEach(async () => {
  muster = await startMusterV3();
  client = new V3Client(muster.address);
});
afterEach(async () => {
  client[Symbol.dispose]();
  await muster[Symbol.asyncDispose]();
});

/** The only answer of a call that must succeed. */
async function answer(path: string, request: object): Promise<object> {
  const outcome = await client.call(path, request);
  const [first] = outcome.answers;
  if (!outcome.ok || first === undefined) throw new Error(`${path} failed: ${JSON.stringify(outcome)}`);
  return first;
}

function refusal(outcome: Outcome): unknown {
  return outcome.ok ? "answered" : { code: outcome.code, details: outcome.details };
}

function keysOf(message: object): readonly string[] {
  const kvs: unknown = Reflect.get(message, "kvs");
  return Array.isArray(kvs) ? kvs.map((kv: { readonly key: Buffer }) => kv.key.toString("latin1")) : [];
}

/** Puts keys without gRPC. */
async function fill(keys: readonly string[], value = "v"): Promise<void> {
  for (let from = 0; from < keys.length; from += 128) {
    const success = keys.slice(from, from + 128).map((key): Operation => {
      return { kind: "put", request: { key: utf8(key), value: utf8(value) } };
    });
    await muster.engine.txn({ compares: [], success, failure: [] });
  }
}

const numbered = (count: number) => Array.from({ length: count }, (_, place) => `k${String(place).padStart(6, "0")}`);

it("heads each answer with the cluster, the member, the revision and a term", async () => {
  const header = { cluster_id: "1", member_id: "2", revision: "2", raft_term: "2" };
  expect(await answer("KV/Put", { key: utf8("a") })).toMatchObject({ header });
  for (const path of ["KV/Range", "KV/DeleteRange"]) {
    expect(await answer(path, { key: utf8("none") })).toMatchObject({ header });
  }
  expect(await answer("KV/Txn", {})).toMatchObject({ header });
  expect(await answer("KV/Compact", { revision: 2 })).toMatchObject({ header });
});

it("shows no internal key, and refuses to write one with INVALID_ARGUMENT", async () => {
  await fill(["\0a", "\0zz", "a", "b"]);
  expect(await answer("KV/Range", { ...ALL, limit: 1 })).toMatchObject({ count: "2", more: true });
  expect(keysOf(await answer("KV/Range", ALL))).toEqual(["a", "b"]);
  expect(await answer("KV/Range", { key: utf8("\0a") })).toMatchObject({ kvs: [], count: "0" });
  const details = expect.stringContaining("byte 0");
  const refused = { code: Status.INVALID_ARGUMENT, details };
  expect(refusal(await client.call("KV/Put", { key: utf8("\0a") }))).toEqual(refused);
  const inTxn = { failure: [{ request_put: { key: Buffer.of(0) } }] };
  expect(refusal(await client.call("KV/Txn", inTxn))).toEqual(refused);
  expect(await answer("KV/DeleteRange", ALL)).toMatchObject({ deleted: "2" });
  expect(await muster.engine.range({ key: utf8("\0"), end: null })).toMatchObject({ count: 2 });
});

it("refuses a key that the store cannot hold, and says how long it may be", async () => {
  const outcome = await client.call("KV/Put", { key: Buffer.alloc(2_000, "k") });
  expect(refusal(outcome)).toEqual({ code: Status.INVALID_ARGUMENT, details: expect.stringContaining("1978") });
});

it("refuses what etcd refuses for its size, in etcd's words, and reads of any size not", async () => {
  const tooLarge = { code: Status.INVALID_ARGUMENT, details: "etcdserver: request is too large" };
  const put = { key: utf8("a"), value: Buffer.alloc(MAX_REQUEST_BYTES) };
  expect(refusal(await client.call("KV/Put", put))).toEqual(tooLarge);
  expect(refusal(await client.call("KV/Txn", { success: [{ request_put: put }] }))).toEqual(tooLarge);
  await answer("KV/Put", { ...put, value: Buffer.alloc(MAX_REQUEST_BYTES - 64) });
  const compare = { key: utf8("a"), target: "VALUE", value: put.value };
  expect(await answer("KV/Txn", { compare: [compare] })).toMatchObject({ succeeded: false });
});

it("refuses a sort that there is not", async () => {
  const invalid = { code: Status.INVALID_ARGUMENT, details: "etcdserver: invalid sort option" };
  expect(refusal(await client.call("KV/Range", { key: utf8("a"), sort_order: 3 }))).toEqual(invalid);
  expect(refusal(await client.call("KV/Range", { key: utf8("a"), sort_target: 5 }))).toEqual(invalid);
  expect(refusal(await client.call("KV/Range", { key: utf8("a"), sort_order: -1 }))).toEqual(invalid);
});

it("counts the operations of a transaction level by level", async () => {
  const reads = (count: number) => Array.from({ length: count }, () => ({ request_range: { key: utf8("a") } }));
  const nested = (outer: number, inner: number) =>
    client.call("KV/Txn", { success: [{ request_txn: { failure: reads(inner) } }, ...reads(outer - 1)] });
  const tooMany = { code: Status.INVALID_ARGUMENT, details: "etcdserver: too many operations in txn request" };
  expect(refusal(await nested(1, 127))).toBe("answered");
  expect(refusal(await nested(1, 128))).toEqual(tooMany);
  expect(refusal(await nested(128, 0))).toBe("answered");
  expect(refusal(await nested(129, 0))).toEqual(tooMany);
});

it("compacts physically: the answer comes when history is freed", async () => {
  for (let revision = 2; revision <= 600; revision++) await fill(["a"]);
  await answer("KV/Compact", { revision: 600, physical: true });
  expect(await muster.engine.diskUse?.()).toMatchObject({ oldestRevision: 600 });
});

it("answers a range of very many keys whole, and a deletion of them", async () => {
  const keys = numbered(5_000);
  await fill(keys);
  const range = await answer("KV/Range", ALL);
  expect(keysOf(range)).toEqual(keys);
  expect(range).toMatchObject({ count: "5000", more: false, header: { member_id: "2" } });
  const deleted = await answer("KV/DeleteRange", { ...ALL, prev_kv: true });
  expect(deleted).toMatchObject({ deleted: "5000" });
  expect(keysOf({ kvs: Reflect.get(deleted, "prev_kvs") })).toEqual(keys);
});

it("streams a range in pieces, all at the revision of the first, with the count of all in the last", async () => {
  const keys = numbered(300);
  await fill(keys, "x".repeat(20_000));
  const before = (await muster.engine.status()).revision;
  const writing = (async () => {
    for (let at = 0; at < 200; at++) await fill([`k${at}-new`]);
  })();
  const { answers } = await client.call("KV/RangeStream", { ...ALL, limit: 250 });
  await writing;
  const ranges = answers.map((each): object => Reflect.get(each, "range_response"));
  const last = ranges.at(-1) ?? {};
  const header: object = Reflect.get(last, "header");
  const revision = Number(Reflect.get(header, "revision"));
  const asked = { key: utf8("\x01"), end: null, revision, limit: 250 };
  const expected = await muster.engine.range(asked);
  expect(revision).toBeGreaterThanOrEqual(before);
  expect(ranges.length).toBeGreaterThan(2);
  expect(ranges.slice(0, -1).every((range) => Reflect.get(range, "header") === null)).toBe(true);
  expect(ranges.flatMap(keysOf)).toEqual(expected.kvs.map(({ key }) => Buffer.from(key).toString("latin1")));
  expect(last).toMatchObject({ more: true, count: String(expected.count) });
});
