import * as fc from "fast-check";
import { expect, test } from "vitest";
import { membersOf, V3Registry } from "../../../test/support/v3-registry.ts";
import { text, utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Watch } from "../../engine/engine.ts";
import { openMemoryEngine } from "../../engine/memory/memory-engine.ts";
import type { Compare, KeyRange, Operation, RangeRequest, TxnRequest, WatchMessage } from "../../engine/model.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { Token } from "./token.ts";

/** What a client does among the members of one token, and outside. */
const TOKEN = "by-hand";
const BASE = `/_etcd/registry/${TOKEN}/members`;

const id = fc.constantFrom("0", "1f", "a", "b7", "ffff");
const key = id.map((each) => utf8(`${BASE}/${each}`));
const bound = fc.constantFrom(BASE, `${BASE}/`, `${BASE}/1`, `${BASE}/a`, `${BASE}/b`, `${BASE}0`);
const END = `${BASE.slice(0, -1)}t`;
const span: fc.Arbitrary<KeyRange> = fc.oneof(
  key.map((each) => ({ key: each })),
  fc.constant({ key: utf8(BASE), end: utf8(END) }),
  fc.tuple(bound, bound).map(([from, to]) => ({ key: utf8(from), end: utf8(to) })),
);

const value = fc.constantFrom("", "n=u", "other=u").map(utf8);
const sort = fc.option(
  fc.record({
    target: fc.constantFrom("key", "version", "createRevision", "modRevision", "value"),
    order: fc.constantFrom("ascend", "descend"),
  }),
  { nil: undefined },
);
const range: fc.Arbitrary<RangeRequest> = fc
  .record({
    where: span,
    limit: fc.nat(3),
    sort,
    keysOnly: fc.boolean(),
    countOnly: fc.boolean(),
    minModRevision: fc.constantFrom(0, 0, 4),
    maxCreateRevision: fc.constantFrom(0, 0, 6),
  })
  .map(({ where, sort: order, ...rest }) => ({ ...where, ...rest, ...(order === undefined ? {} : { sort: order }) }));

const operation: fc.Arbitrary<Operation> = fc.oneof(
  range.map((request) => ({ kind: "range", request }) as const),
  fc.record({ key, value, prevKv: fc.boolean() }).map((request) => ({ kind: "put", request }) as const),
  fc
    .record({ where: span, prevKv: fc.boolean() })
    .map(({ where, prevKv }) => ({ kind: "deleteRange", request: { ...where, prevKv } }) as const),
);
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    key,
    target: fc.constant("version" as const),
    result: fc.constant("greater" as const),
    expected: fc.nat(2),
  }),
  fc.record({ key, target: fc.constant("value" as const), result: fc.constant("equal" as const), expected: value }),
);
const flat: fc.Arbitrary<TxnRequest> = fc.record({
  compares: fc.array(compare, { maxLength: 2 }),
  success: fc.array(operation, { maxLength: 3 }),
  failure: fc.array(operation, { maxLength: 2 }),
});

/** An answer, or the code of the error, with bytes as text. */
async function outcome(asked: Promise<unknown>): Promise<unknown> {
  try {
    return readable(await asked);
  } catch (error) {
    if (isMusterError(error)) return error.code;
    throw error;
  }
}

function readable(answer: unknown): unknown {
  if (answer instanceof Uint8Array) return text(answer);
  if (Array.isArray(answer)) return answer.map(readable);
  if (typeof answer !== "object" || answer === null) return answer;
  return Object.fromEntries(Object.entries(answer).map(([name, each]) => [name, readable(each)]));
}

async function eventsUntil(watch: Watch, revision: number): Promise<readonly unknown[]> {
  watch.requestProgress();
  const told: WatchMessage[] = [];
  for await (const message of watch) {
    if (message.kind === "progress" && message.revision >= revision) break;
    if (message.kind === "events") told.push(message);
  }
  return told.map(readable);
}

type Store = Pick<Keyspace, "txn" | "range" | "watch" | "status">;

/** Plays transactions on a store that has a token made by hand; what it answers, and what a watch and a listing then tell. */
async function play(store: Store, program: readonly TxnRequest[]): Promise<readonly unknown[]> {
  const size = { key: utf8(`/_etcd/registry/${TOKEN}/_config/size`), value: utf8("3") };
  await store.txn({ compares: [], success: [{ kind: "put", request: size }], failure: [] });
  const members = membersOf(TOKEN as Token);
  const watch = store.watch({ ...members, startRevision: 1, prevKv: true });
  const answers: unknown[] = [];
  for (const request of program) answers.push(await outcome(store.txn(request)));
  const { revision } = await store.status();
  answers.push(readable(await store.range(members)), await eventsUntil(watch, revision));
  return answers;
}

test("the members of a token are to v3 clients what keys of that name are in an etcd", async () => {
  const programs = fc.array(flat, { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(programs, async (program) => {
      await using registry = await V3Registry.open();
      const plain = openMemoryEngine();
      try {
        expect(await play(registry.keyspace, program)).toEqual(await play(plain, program));
      } finally {
        await plain.close();
      }
    }),
    { numRuns: 300 },
  );
});
