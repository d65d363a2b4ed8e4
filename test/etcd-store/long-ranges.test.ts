import { expect, it } from "vitest";
import { createLog } from "../../src/base/log.ts";
import { STORE_LONG_RANGE_KEYS, STORE_LONG_RANGES } from "../../src/base/store-limits.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { KeyRange } from "../../src/engine/model.ts";
import { one, prefix, refusal, txn } from "../contract/requests.ts";
import { openStoreAt } from "../support/with-etcd-store.ts";
import { PlayedEtcd } from "./played-etcd.ts";

const MANY = 6;
const many = (engine: Engine, range = prefix("large")) =>
  Array.from({ length: MANY }, () => engine.range({ ...range, countOnly: true }).then(({ count }) => count, String));

/** Teaches the engine how many keys a range has, and leaves none asked. */
async function teach({ engine, etcd }: { engine: Engine; etcd: PlayedEtcd }, range: KeyRange, keys: number) {
  const read = engine.range({ ...range, countOnly: true });
  (await etcd.next()).answer(keys);
  await read;
}

it("long ranges: a few are asked at a time, in turn, while single keys and short ranges wait for none of them", async () => {
  await using etcd = await PlayedEtcd.start();
  await using store = await openStoreAt([etcd.address]);
  const { engine } = store;
  await teach({ engine, etcd }, prefix("small"), 3);
  await teach({ engine, etcd }, prefix("large"), STORE_LONG_RANGE_KEYS);
  const answers = many(engine);
  for (let answered = 0; answered < MANY; answered++) {
    await etcd.whenAsked(Math.min(STORE_LONG_RANGES, MANY - answered));
    await engine.range(one("single"));
    expect(etcd.asked).toHaveLength(Math.min(STORE_LONG_RANGES, MANY - answered));
    (await etcd.next()).answer(STORE_LONG_RANGE_KEYS + answered);
  }
  expect(await Promise.all(answers)).toEqual(answers.map((_, place) => STORE_LONG_RANGE_KEYS + place));
});

it("long ranges: short ones do not stand in line with them, and the line is dissolved when the store is closed", async () => {
  await using etcd = await PlayedEtcd.start();
  await using store = await openStoreAt([etcd.address]);
  const { engine } = store;
  await teach({ engine, etcd }, prefix("small"), 3);
  await teach({ engine, etcd }, prefix("large"), STORE_LONG_RANGE_KEYS);
  const long = many(engine);
  await etcd.whenAsked(STORE_LONG_RANGES);
  const short = many(engine, prefix("small"));
  await etcd.whenAsked(STORE_LONG_RANGES + MANY);
  for (const { request, answer } of etcd.asked) {
    if (request.rangeEnd.toString() === prefix("small").end?.toString()) answer(3);
  }
  expect(await Promise.all(short)).toEqual(short.map(() => 3));
  await engine.close();
  expect(await Promise.all(long)).toEqual(long.map(() => expect.stringMatching(/was closed/)));
});

it("long ranges: of those over unknown keys one goes first, and the others follow at once where it is short", async () => {
  await using etcd = await PlayedEtcd.start();
  await using store = await openStoreAt([etcd.address]);
  const answers = many(store.engine);
  const first = await etcd.next();
  await store.engine.range(one("single"));
  expect(etcd.asked).toEqual([]);
  first.answer(3);
  await etcd.whenAsked(MANY - 1);
  for (const { answer } of etcd.asked) answer(3);
  expect(await Promise.all(answers)).toEqual(answers.map(() => 3));
});

it("long ranges: those of a reading that has begun come first, and whose turn does not come is told so", async () => {
  await using etcd = await PlayedEtcd.start();
  await using store = await openStoreAt([etcd.address]);
  const { engine } = store;
  await teach({ engine, etcd }, prefix("large"), STORE_LONG_RANGE_KEYS);
  const answers = many(engine);
  const continued = engine.range({ ...prefix("large"), countOnly: true, revision: 1 });
  const inTxn = engine.txn(txn([], [{ kind: "range", request: { ...prefix("large"), countOnly: true } }]));
  const told = refusal(inTxn);
  (await etcd.next()).answer(STORE_LONG_RANGE_KEYS);
  await etcd.whenAsked(STORE_LONG_RANGES);
  const next = etcd.asked.at(-1);
  expect(next?.request.revision).toBe(1);
  expect(await told).toBe("storeUnavailable");
  const refused = await Promise.all(answers.slice(STORE_LONG_RANGES));
  expect(refused).toEqual(refused.map(() => expect.stringMatching(/Ask again later, or for fewer keys/)));
  for (const { answer } of etcd.asked) answer(STORE_LONG_RANGE_KEYS);
  await Promise.all([...answers, continued]);
  expect(engine.endpoints?.()).toEqual([{ name: etcd.address, inUse: true }]);
});

it("long ranges: one that a living etcd is long at work at is asked once, and says nothing against the endpoint", async () => {
  await using etcd = await PlayedEtcd.start();
  await using other = await PlayedEtcd.start();
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    format: "json",
    destination: { write: (line: string) => void lines.push(line) },
  });
  await using store = await openStoreAt([etcd.address, other.address], { log });
  const { engine } = store;
  await engine.range(one("single"));
  const late = await engine.range({ ...prefix("large"), countOnly: true }).catch(String);
  expect(late).toMatch(/Ask for fewer keys at a time, or give etcd more power/);
  expect([etcd.count, other.count]).toEqual([1, 0]);
  expect(engine.endpoints?.()).toEqual(
    [etcd, other].map(({ address }) => ({ name: address, inUse: address === etcd.address })),
  );
  expect(lines).toEqual([]);
});

it("long ranges: those to an endpoint that fell silent are answered by the next one", async () => {
  await using etcd = await PlayedEtcd.start();
  await using other = await PlayedEtcd.start();
  await using store = await openStoreAt([etcd.address, other.address]);
  etcd.complaint = "silent";
  const answers = many(store.engine);
  (await other.next()).answer(7);
  await other.whenAsked(MANY - 1);
  for (const { answer } of other.asked) answer(7);
  expect(await Promise.all(answers)).toEqual(answers.map(() => 7));
  expect(store.engine.endpoints?.().map(({ inUse }) => inUse)).toEqual([false, true]);
});
