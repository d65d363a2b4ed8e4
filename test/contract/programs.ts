/** Random programs for engines, and how to run one step of them and write down what came of it. */
import fc from "fast-check";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { type ErrorCode, MusterError } from "../../src/base/errors.ts";
import type { Engine } from "../../src/engine/engine.ts";
import {
  type Compare,
  type DeleteRangeRequest,
  type KeyRange,
  NO_LEASE,
  type Operation,
  type PutRequest,
  type RangeRequest,
  type RangeResult,
  type TxnRequest,
} from "../../src/engine/model.ts";
import { lines, name, rangeLines, resultLines } from "./requests.ts";

export type Step =
  | { readonly do: "range"; readonly request: RangeRequest }
  | { readonly do: "txn"; readonly request: TxnRequest }
  | { readonly do: "compact"; readonly revision: number }
  | { readonly do: "grant"; readonly id: bigint }
  | { readonly do: "revoke"; readonly id: bigint }
  | { readonly do: "lease"; readonly id: bigint }
  | { readonly do: "status" }
  | { readonly do: "restart" };

export interface ProgramOptions {
  /** Close and open the engine in between. */
  readonly restarts: boolean;
  /** Compact now and then; default: yes. */
  readonly compactions?: boolean;
  /**
   * Leave out what a real etcd does by chance or by a defect: which of several equal keys a limit takes after a sort,
   * and a deletion from a key on beside a put (see the refusals of the contract suite). Which of two things that a
   * transaction wants of the store and that are not there is told has changed with etcd 3.6 and 3.7.
   */
  readonly asEtcd: boolean;
  /** As etcd: whether keys without values come with their leases; default: they do. Else those leases are left out. */
  readonly leaseOfKeysOnly?: boolean;
}

/** Few keys, so that they meet: prefixes of each other, and the ends of the space of bytes. */
const key = fc.constantFrom(
  ...["a", "aa", "ab", "b", "ba", "c", "d"].map(utf8),
  Uint8Array.of(0),
  Uint8Array.of(97, 0),
  Uint8Array.of(255),
);
const value = fc.constantFrom(...["", "x", "y", "zz"].map(utf8));
/** The first two are granted at the start of every program. */
const lease = fc.constantFrom(1n, 1n, 1n, 2n, 2n, 3n);
/** Revisions that a program will have reached, or not. */
const revision = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 22 }) },
);
const flag = fc.boolean();

/** `arbitrary` once in so many times, else `usual`. */
function oneIn<A, B>(times: number, arbitrary: fc.Arbitrary<A>, usual: B): fc.Arbitrary<A | B> {
  return fc.oneof({ weight: times - 1, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary });
}

const range: fc.Arbitrary<KeyRange> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ key }) },
  { weight: 3, arbitrary: fc.record({ key, end: key }) },
  { weight: 1, arbitrary: fc.record({ key: fc.constant(new Uint8Array(0)), end: key }) },
  { weight: 2, arbitrary: fc.record({ key: fc.oneof(key, fc.constant(new Uint8Array(0))), end: fc.constant(null) }) },
);
const boundedRange = range.map(
  (given): KeyRange => (given.end === null ? { ...given, end: Uint8Array.of(255, 255) } : given),
);

const bounds = fc.record(
  { minModRevision: revision, maxModRevision: revision, minCreateRevision: revision, maxCreateRevision: revision },
  { requiredKeys: [] },
);
const sort = fc.record({
  target: fc.constantFrom("key", "version", "createRevision", "modRevision", "value"),
  order: fc.constantFrom("ascend", "descend"),
});

function rangeRequest(options: ProgramOptions): fc.Arbitrary<RangeRequest> {
  const parts = fc.record(
    {
      limit: fc.integer({ min: 0, max: 4 }),
      revision,
      keysOnly: flag,
      countOnly: fc.constantFrom(true, false, false),
      sort,
    },
    { requiredKeys: [] },
  );
  return fc.tuple(range, parts, fc.option(bounds, { nil: {}, freq: 3 })).map(([where, given, filter]) => {
    const byChance = options.asEtcd && given.sort !== undefined && given.sort.target !== "key";
    return { ...where, ...given, ...filter, ...(byChance ? { limit: 0 } : {}) };
  });
}

const compareResult = fc.constantFrom("equal", "notEqual", "greater", "less");
const compare: fc.Arbitrary<Compare> = fc
  .tuple(
    range,
    compareResult,
    fc.oneof(
      fc.record({ target: fc.constant("version"), expected: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ target: fc.constantFrom("createRevision", "modRevision"), expected: revision }),
      fc.record({ target: fc.constant("lease"), expected: fc.oneof(fc.constant(0n), lease) }),
      fc.record({ target: fc.constant("value"), expected: value }),
    ),
  )
  .map(([where, result, what]): Compare => ({ ...where, result, ...what }));

const putRequest: fc.Arbitrary<PutRequest> = fc
  .record({
    key,
    value,
    lease: oneIn(3, lease, 0n),
    prevKv: flag,
    keep: oneIn(4, fc.constantFrom("value", "lease", "both"), "neither"),
  })
  .map(({ keep, ...put }) => ({
    ...put,
    ...(keep === "value" || keep === "both" ? { ignoreValue: true, value: utf8("") } : {}),
    ...(keep === "lease" || keep === "both" ? { ignoreLease: true, lease: 0n } : {}),
  }));

function txnRequest(options: ProgramOptions): fc.Arbitrary<TxnRequest> {
  const deletable = options.asEtcd ? boundedRange : range;
  const deleteRange: fc.Arbitrary<DeleteRangeRequest> = fc
    .tuple(deletable, flag)
    .map(([where, prevKv]) => ({ ...where, prevKv }));
  const operation = (depth: number): fc.Arbitrary<Operation> =>
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant("put"), request: putRequest }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("deleteRange"), request: deleteRange }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("range"), request: rangeRequest(options) }) },
      ...(depth === 0
        ? []
        : [{ weight: 2, arbitrary: fc.record({ kind: fc.constant("txn"), request: level(depth - 1) }) }]),
    );
  const level = (depth: number): fc.Arbitrary<TxnRequest> =>
    fc.record({
      compares: fc.array(compare, { maxLength: 2 }),
      success: fc.array(operation(depth), { maxLength: 3 }),
      failure: fc.array(operation(depth), { maxLength: 2 }),
    });
  return level(2);
}

function write(operation: Operation): TxnRequest {
  return { compares: [], success: [operation], failure: [] };
}

/** A program: a list of steps. */
export function program(options: ProgramOptions): fc.Arbitrary<readonly Step[]> {
  const simplePut = fc.record({ key, value, lease: oneIn(4, lease, 0n) });
  const simpleWrite = fc.oneof(
    { weight: 8, arbitrary: simplePut.map((request) => write({ kind: "put", request })) },
    { weight: 1, arbitrary: range.map((request) => write({ kind: "deleteRange", request })) },
  );
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 24, arbitrary: fc.record({ do: fc.constant("txn"), request: simpleWrite }) },
    { weight: 16, arbitrary: fc.record({ do: fc.constant("txn"), request: txnRequest(options) }) },
    { weight: 12, arbitrary: fc.record({ do: fc.constant("range"), request: rangeRequest(options) }) },
    ...((options.compactions ?? true)
      ? [
          {
            weight: 2,
            arbitrary: fc.record({ do: fc.constant("compact"), revision: fc.integer({ min: 1, max: 16 }) }),
          },
        ]
      : []),
    { weight: 3, arbitrary: fc.record({ do: fc.constant("grant"), id: lease }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke"), id: lease }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("lease"), id: lease }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("status") }) },
    ...(options.restarts ? [{ weight: 2, arbitrary: fc.record({ do: fc.constant("restart") }) }] : []),
  );
  const granted: readonly Step[] = [1n, 2n].map((id) => ({ do: "grant", id }));
  return fc.array(step, { minLength: 20, maxLength: 80, size: "max" }).map((steps) => [...granted, ...steps]);
}

/** What a transaction may find missing in the store. */
const NOT_THERE: ReadonlySet<ErrorCode> = new Set(["keyNotFound", "leaseNotFound", "compacted", "futureRevision"]);

/** What of an engine programs make use of. */
type Store = Pick<
  Engine,
  "range" | "txn" | "compact" | "status" | "grantLease" | "revokeLease" | "leaseStatus" | "leases"
>;

/** What an engine answers to a step, or the code of its error, in a form that can be compared and read. */
export async function outcome(engine: Store, step: Step, options: ProgramOptions): Promise<unknown> {
  try {
    return await answer(engine, step, options);
  } catch (error) {
    if (error instanceof MusterError) {
      return `refused: ${options.asEtcd && NOT_THERE.has(error.code) ? "not there" : error.code}`;
    }
    throw error;
  }
}

async function answer(engine: Store, step: Step, options: ProgramOptions): Promise<unknown> {
  switch (step.do) {
    case "range": {
      const result = await engine.range(step.request);
      return options.asEtcd ? untied(step.request, result, options) : rangeLines(result);
    }
    case "txn": {
      const { revision, succeeded, results } = await engine.txn(step.request);
      const operations = succeeded ? step.request.success : step.request.failure;
      return { revision, succeeded, results: results.map((result, index) => tell(result, operations[index], options)) };
    }
    case "compact":
      await engine.compact(step.revision);
      return "compacted";
    case "grant":
      return engine.grantLease({ id: step.id, ttl: 6000 });
    case "revoke":
      return engine.revokeLease(step.id);
    case "lease": {
      const { id, grantedTtl, keys } = await engine.leaseStatus(step.id, { keys: true });
      return { id, grantedTtl, keys: keys.map(name), all: await engine.leases() };
    }
    case "status":
      return engine.status();
    case "restart":
      return "restarted";
  }
}

type Result = Awaited<ReturnType<Engine["txn"]>>["results"][number];

function tell(result: Result, operation: Operation | undefined, options: ProgramOptions): unknown {
  if (options.asEtcd && result.kind === "range" && operation?.kind === "range") {
    return untied(operation.request, result.result, options);
  }
  if (result.kind === "txn" && operation?.kind === "txn") {
    const branch = result.succeeded ? operation.request.success : operation.request.failure;
    return {
      txn: result.succeeded,
      results: result.results.map((inner, index) => tell(inner, branch[index], options)),
    };
  }
  return resultLines(result);
}

/**
 * A sorted range without the order of keys that sort as equal, which is a matter of chance on a real etcd, and without
 * leases that it may leave out.
 */
function untied(request: RangeRequest, given: RangeResult, { leaseOfKeysOnly = true }: ProgramOptions): unknown {
  const isFromIndex = !leaseOfKeysOnly && request.keysOnly === true && request.sort?.target !== "value";
  const result = isFromIndex ? { ...given, kvs: given.kvs.map((kv) => ({ ...kv, lease: NO_LEASE })) } : given;
  const target = request.sort?.target ?? "key";
  const order = result.kvs.map((kv) =>
    target === "value" ? name(kv.value) : target === "key" ? name(kv.key) : kv[target],
  );
  return { ...result, kvs: [...lines(result.kvs)].sort(), order };
}

/** A program in a form that a person can read, for reports of failures. */
export function listing(steps: readonly Step[]): string {
  const readable = (_: string, part: unknown): unknown =>
    typeof part === "bigint" ? `${part}n` : isBytes(part) ? JSON.stringify(name(part)) : part;
  return steps.map((step, index) => `${index}: ${JSON.stringify(step, readable)}`).join("\n");
}

function isBytes(part: unknown): part is Bytes {
  return part instanceof Uint8Array;
}
