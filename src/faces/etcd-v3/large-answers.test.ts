import fc from "fast-check";
import { expect, it } from "vitest";
import { EncodedMessage } from "../../grpc/call.ts";
import { type RangeResponse, type ResponseOp, TxnResponse } from "../../proto/etcdserverpb.ts";
import { innerHeader } from "./header.ts";
import { encodedIfLarge } from "./large-answers.ts";

const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);

function kvs(count: number, valueBytes: number) {
  const value = new Uint8Array(valueBytes).fill(7);
  return Array.from({ length: count }, (_, place) => ({
    key: new Uint8Array(Buffer.from(`key${place}`)),
    value,
    createRevision: place,
    modRevision: place + 1,
    version: 1,
    lease: BigInt(place),
  }));
}

type Answer = NonNullable<ResponseOp["response"]>;

/** Lists of which some are large. */
const list = fc
  .oneof(
    fc.record({ count: fc.integer({ min: 0, max: 70 }), valueBytes: fc.constantFrom(0, 3) }),
    fc.record({ count: fc.integer({ min: 1_900, max: 4_100 }), valueBytes: fc.constantFrom(0, 3) }),
    fc.record({ count: fc.integer({ min: 60, max: 75 }), valueBytes: fc.constantFrom(20_000, 50_000) }),
  )
  .map(({ count, valueBytes }) => kvs(count, valueBytes));

const header = fc.integer({ min: 0, max: 1e6 }).map(innerHeader);

function answer(depth: number): fc.Arbitrary<Answer> {
  const range = fc.record({ header, kvs: list, more: fc.boolean(), count: fc.nat() });
  const deleted = fc.record({ header, prevKvs: list, deleted: fc.nat() });
  const put = fc.record({ header, prevKv: fc.constantFrom(undefined, ...kvs(1, 9)) });
  return fc.oneof(
    { weight: 3, arbitrary: range.map((value): Answer => ({ $case: "responseRange", value })) },
    { weight: 2, arbitrary: deleted.map((value): Answer => ({ $case: "responseDeleteRange", value })) },
    { weight: 1, arbitrary: put.map((value): Answer => ({ $case: "responsePut", value })) },
    ...(depth === 0 ? [] : [{ weight: 3, arbitrary: txn(depth - 1) }]),
  );
}

function txn(depth: number): fc.Arbitrary<Answer> {
  return fc
    .record({ header, succeeded: fc.boolean(), responses: fc.array(answer(depth), { maxLength: 3 }) })
    .map(({ responses, ...rest }): Answer => {
      return { $case: "responseTxn", value: { ...rest, responses: responses.map((response) => ({ response })) } };
    });
}

it(`encodedIfLarge: what is encoded in pieces is read as the same message (seed ${SEED})`, async () => {
  let encoded = 0;
  const property = fc.asyncProperty(txn(2), async (whole) => {
    if (whole.$case !== "responseTxn") return;
    const found = await encodedIfLarge(whole, whole.value);
    if (!(found instanceof EncodedMessage)) return;
    encoded++;
    const bytes = new Uint8Array(Buffer.concat(found.pieces));
    const expected = TxnResponse.encode(whole.value).finish();
    const read = TxnResponse.encode(TxnResponse.decode(bytes)).finish();
    expect(Buffer.compare(read, expected)).toBe(0);
  });
  await fc.assert(property, { seed: SEED, numRuns: 25 });
  expect(encoded).toBeGreaterThan(0);
});

it("encodedIfLarge: lets others run between the pieces of a large answer", async () => {
  const value = { header: innerHeader(1), kvs: kvs(20_000, 10), more: false, count: 20_000 };
  let turns = 0;
  const count = () => {
    turns++;
    running = setImmediate(count);
  };
  let running = setImmediate(count);
  const found = await encodedIfLarge({ $case: "responseRange", value }, value);
  clearImmediate(running);
  expect(turns).toBeGreaterThanOrEqual(10);
  expect(found instanceof EncodedMessage && found.pieces.length).toBeGreaterThanOrEqual(10);
});

it("encodedIfLarge: lets others run where few key-values have many bytes", async () => {
  const range = { header: innerHeader(1), kvs: kvs(1, 600_000), more: false, count: 1 };
  const put = { header: innerHeader(1), prevKv: range.kvs[0] };
  const responses = [1, 2, 3].flatMap(() => [
    { response: { $case: "responseRange", value: range } as const },
    { response: { $case: "responsePut", value: put } as const },
  ]);
  const value = { header: innerHeader(1), succeeded: true, responses };
  let turns = 0;
  const count = () => {
    turns++;
    running = setImmediate(count);
  };
  let running = setImmediate(count);
  const found = await encodedIfLarge({ $case: "responseTxn", value }, value);
  clearImmediate(running);
  expect(found).toBeInstanceOf(EncodedMessage);
  expect(turns).toBeGreaterThanOrEqual(responses.length - 1);
});

it("encodedIfLarge: leaves a small answer as it is", () => {
  const value: RangeResponse = { header: undefined, kvs: kvs(64, 1_000), more: false, count: 64 };
  expect(encodedIfLarge({ $case: "responseRange", value }, value)).toBe(value);
  const one: RangeResponse = { header: undefined, kvs: kvs(1, 1_500_000), more: false, count: 1 };
  expect(encodedIfLarge({ $case: "responseRange", value: one }, one)).toBe(one);
});
