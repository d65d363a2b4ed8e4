/** Random v3 requests: mostly sound ones, so that the store gets somewhere, and every kind of odd one. */
import fc from "fast-check";
import type { V3Step } from "./v3-steps.ts";

export type Request = V3Step["request"];
export type Field = fc.Arbitrary<Request[string]>;

const flag = fc.boolean();

export function oneIn<A, B>(times: number, arbitrary: fc.Arbitrary<A>, usual: fc.Arbitrary<B>): fc.Arbitrary<A | B> {
  return fc.oneof({ weight: times - 1, arbitrary: usual }, { weight: 1, arbitrary });
}

/** A message of which any field may be left out. */
export function message(fields: Record<string, Field>, required: readonly string[] = []): fc.Arbitrary<Request> {
  return fc.record(fields, { requiredKeys: [...required] });
}

/** Few keys, so that they meet: prefixes of each other, and the end of the space of bytes. */
const soundKey = fc.constantFrom("a", "aa", "ab", "b", "ba", "c", "a\0", "\xff");
const key = oneIn(40, fc.constant(""), soundKey);
const value = fc.constantFrom("", "x", "y", "zz", "\xff\0");
const rangeEnd = fc.oneof(
  { weight: 3, arbitrary: soundKey },
  { weight: 2, arbitrary: fc.constant("\0") },
  { weight: 1, arbitrary: fc.constantFrom("\0\0", "b\0") },
);
/** The first two are granted at the start of every program. */
const lease = fc.constantFrom(101, 101, 101, 102, 102, 103);
const revision: Field = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -1, max: 16 }).map((offset) => `S${offset < 0 ? "" : "+"}${offset}`) },
  { weight: 1, arbitrary: fc.constantFrom(0, -1, "9223372036854775807") },
);
const limit = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 4 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, "9223372036854775807") },
);

/** Which keys; without a range_end just one. */
export const where = oneIn(
  3,
  fc.record({ key }),
  fc.record({ key: oneIn(4, fc.constant("\0"), key), range_end: rangeEnd }),
);

const sort = fc.record({
  sort_order: fc.constantFrom("NONE", "ASCEND", "DESCEND"),
  sort_target: fc.constantFrom("KEY", "VERSION", "CREATE", "MOD", "VALUE"),
});

const range: fc.Arbitrary<Request> = fc
  .tuple(
    where,
    message({
      limit,
      serializable: flag,
      keys_only: flag,
      count_only: oneIn(3, fc.constant(true), fc.constant(false)),
    }),
    oneIn(3, message({ revision }), fc.constant({})),
    oneIn(3, sort, fc.constant({})),
    oneIn(
      3,
      message({
        min_mod_revision: revision,
        max_mod_revision: revision,
        min_create_revision: revision,
        max_create_revision: revision,
      }),
      fc.constant({}),
    ),
  )
  .map((parts) => Object.assign({}, ...parts));

const put: fc.Arbitrary<Request> = fc
  .tuple(
    fc.record({ key }),
    oneIn(10, fc.constant({}), fc.record({ value })),
    oneIn(4, fc.record({ lease }), fc.constant({})),
    message({ prev_kv: flag }),
    oneIn(6, message({ ignore_value: flag, ignore_lease: flag }), fc.constant({})),
  )
  .map((parts) => soundIgnores(Object.assign({}, ...parts)));

/** A put that ignores what it gives is refused; most are to get further. */
function soundIgnores(request: Request): Request {
  const { value: given, lease: of, ...rest } = request;
  const isOdd = rest.prev_kv === true;
  return {
    ...rest,
    ...(given === undefined || (rest.ignore_value === true && !isOdd) ? {} : { value: given }),
    ...(of === undefined || (rest.ignore_lease === true && !isOdd) ? {} : { lease: of }),
  };
}

/** An order and a target that there are not: an etcd before 3.6 dies of them. */
const oddSort: fc.Arbitrary<Request> = fc
  .tuple(range, fc.constantFrom({ sort_order: 7 }, { sort_target: 9 }))
  .map(([of, odd]) => ({ ...of, ...odd }));

/** Sorted by something else than the key, but in no order, a streamed range is sorted piece by piece: nobody asks for it. */
const streamed = range.map(
  (request): Request => (request.sort_order === "NONE" ? { ...request, sort_target: "KEY" } : request),
);

const deleteRange = fc.tuple(where, message({ prev_kv: flag })).map(([of, more]): Request => ({ ...of, ...more }));
/**
 * Within a transaction: etcd overlooks a deletion without an end when it looks for duplicate keys, and dies of one beside
 * a put with ignore_value.
 */
const boundedDeleteRange = deleteRange.map(
  (request): Request => (request.range_end === "\0" ? { ...request, range_end: "\xff\xff" } : request),
);

const expected: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ target: fc.constant("VERSION"), version: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ target: fc.constant("CREATE"), create_revision: revision }),
  fc.record({ target: fc.constant("MOD"), mod_revision: revision }),
  fc.record({ target: fc.constant("LEASE"), lease: fc.oneof(fc.constant(0), lease) }),
  fc.record({ target: fc.constant("VALUE"), value }),
);
/** What is compared with is left out, or of another kind than the target. */
const oddExpected: fc.Arbitrary<Request> = fc
  .tuple(fc.oneof(expected, fc.constant({})), fc.constantFrom("VERSION", "CREATE", "MOD", "LEASE", "VALUE", 17))
  .map(([of, target]) => ({ ...of, target }));

const compare: fc.Arbitrary<Request> = fc
  .tuple(
    where,
    fc.record({ result: oneIn(40, fc.constant(11), fc.constantFrom("EQUAL", "NOT_EQUAL", "GREATER", "LESS")) }),
    oneIn(12, oddExpected, expected),
  )
  .map((parts) => Object.assign({}, ...parts));

function operation(depth: number): fc.Arbitrary<Request> {
  return fc.oneof(
    { weight: 12, arbitrary: put.map((request_put): Request => ({ request_put })) },
    { weight: 5, arbitrary: boundedDeleteRange.map((request): Request => ({ request_delete_range: request })) },
    { weight: 5, arbitrary: range.map((request_range): Request => ({ request_range })) },
    ...(depth === 0 ? [] : [{ weight: 5, arbitrary: txn(depth - 1).map((request_txn): Request => ({ request_txn })) }]),
    { weight: depth === 0 ? 0 : 1, arbitrary: fc.constantFrom<Request>({}, { request_txn: {} }) },
  );
}

function txn(depth: number): fc.Arbitrary<Request> {
  return fc.record({
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(operation(depth), { maxLength: 3 }),
    failure: fc.array(operation(depth), { maxLength: 2 }),
  });
}

/** Too many operations, at the top or below. */
const wideTxn: fc.Arbitrary<Request> = fc
  .record({ outer: fc.constantFrom(1, 2, 60, 128, 129), inner: fc.constantFrom(0, 67, 68, 126, 127, 128) })
  .map(({ outer, inner }) => {
    const reads = (count: number): Request[] => Array.from({ length: count }, () => ({ request_range: { key: "a" } }));
    const nested: Request[] = inner === 0 ? [] : [{ request_txn: { failure: reads(inner) } }];
    return { success: [...nested, ...reads(outer - nested.length)] };
  });

const call = (name: string, request: fc.Arbitrary<Request>): fc.Arbitrary<V3Step> =>
  request.map((of) => ({ call: name, request: of }));

export const steps: readonly fc.WeightedArbitrary<V3Step>[] = [
  { weight: 24, arbitrary: call("KV/Put", put) },
  { weight: 16, arbitrary: call("KV/Txn", txn(2)) },
  { weight: 14, arbitrary: call("KV/Range", range) },
  { weight: 4, arbitrary: call("KV/DeleteRange", deleteRange) },
  { weight: 2, arbitrary: call("KV/Compact", message({ revision, physical: flag })) },
  { weight: 1, arbitrary: call("KV/Txn", wideTxn) },
  {
    weight: 3,
    arbitrary: call("Lease/LeaseGrant", message({ ID: lease, TTL: fc.constantFrom(0, -1, 1, 6000) }, ["ID"])),
  },
  {
    weight: 1,
    arbitrary: call("Lease/LeaseGrant", fc.constantFrom<Request>({ ID: 104, TTL: 9_000_000_001 }, { TTL: 6000 })),
  },
  { weight: 2, arbitrary: call("Lease/LeaseRevoke", fc.record({ ID: lease })) },
  { weight: 1, arbitrary: call("Lease/LeaseKeepAlive", fc.record({ ID: lease })) },
  { weight: 2, arbitrary: call("Lease/LeaseTimeToLive", fc.record({ ID: lease, keys: flag })) },
  { weight: 1, arbitrary: call("Lease/LeaseLeases", fc.constant({})) },
];

/** What came with etcd 3.7. */
export const newerSteps: readonly fc.WeightedArbitrary<V3Step>[] = [
  { weight: 3, arbitrary: call("KV/RangeStream", streamed) },
  { weight: 1, arbitrary: call("KV/Range", oddSort) },
];
