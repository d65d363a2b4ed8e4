import { expect, test } from "vitest";
import { z } from "zod";
import { MusterProcess } from "../support/muster-process.ts";
import { V3Client } from "../support/v3-client.ts";

/** How many keys every answer is about. */
const KEYS = Number(process.env.MUSTER_TEST_KEYS ?? 100_000);
const PER_TXN = 128;
const AT_ONCE = 8;
const TIMEOUT_MS = 300_000;

const ALL = { key: Buffer.of(0), range_end: Buffer.of(0) };

const range = z.object({ kvs: z.array(z.unknown()), count: z.coerce.number() });
const deletion = z.object({ deleted: z.coerce.number(), prev_kvs: z.array(z.unknown()) });
const txn = z.object({ responses: z.array(z.object({ response_range: range })) });

/** The answers of a call that must be answered. */
async function ask(client: V3Client, path: string, request: object): Promise<readonly object[]> {
  const outcome = await client.call(path, request);
  if (!outcome.ok) throw new Error(`${path}: ${outcome.code} ${outcome.details}`);
  return outcome.answers;
}

async function fill(client: V3Client): Promise<void> {
  const put = (index: number) => {
    const key = Buffer.from(`/all/${String(index).padStart(9, "0")}`);
    return { request_put: { key, value: Buffer.from(`value ${index}`) } };
  };
  for (let first = 0; first < KEYS; first += PER_TXN * AT_ONCE) {
    const txns = Array.from({ length: AT_ONCE }, (_, part) => {
      const start = first + part * PER_TXN;
      const count = Math.max(0, Math.min(PER_TXN, KEYS - start));
      return ask(client, "KV/Txn", { success: Array.from({ length: count }, (_each, at) => put(start + at)) });
    });
    await Promise.all(txns);
  }
}

/** Watches everything from `start_revision` on until so many events have come. */
function watched(client: V3Client, start_revision: number, count: number): Promise<void> {
  const told = z.object({ events: z.array(z.unknown()) });
  const stream = client.duplex("Watch/Watch");
  let events = 0;
  stream.on("error", () => {});
  stream.write({ create_request: { ...ALL, start_revision } });
  return new Promise((resolve) => {
    stream.on("data", (data: unknown) => {
      events += told.parse(data).events.length;
      if (events < count) return;
      stream.cancel();
      resolve();
    });
  });
}

// The program runs under a watchdog: stopping it fails where something held its event loop for too long.
test(`v3 answers of ${KEYS} keys let others run`, { timeout: TIMEOUT_MS }, async () => {
  await using muster = await MusterProcess.start();
  using client = new V3Client(new URL(muster.clientUrl).host);
  await fill(client);
  const [all] = await ask(client, "KV/Range", ALL);
  const { kvs, count } = range.parse(all);
  expect([kvs.length, count]).toEqual([KEYS, KEYS]);
  const [sorted] = await ask(client, "KV/Range", { ...ALL, sort_order: "DESCEND", sort_target: "MOD" });
  expect(range.parse(sorted).kvs).toHaveLength(KEYS);
  const [both] = await ask(client, "KV/Txn", { success: [{ request_range: ALL }, { request_range: ALL }] });
  expect(txn.parse(both).responses.map(({ response_range }) => response_range.kvs.length)).toEqual([KEYS, KEYS]);
  const pieces = await ask(client, "KV/RangeStream", ALL);
  const streamed = pieces.flatMap((piece) => z.object({ range_response: range }).parse(piece).range_response.kvs);
  expect(streamed).toHaveLength(KEYS);
  await watched(client, 1, KEYS);
  const [gone] = await ask(client, "KV/DeleteRange", { ...ALL, prev_kv: true });
  const { deleted, prev_kvs } = deletion.parse(gone);
  expect([deleted, prev_kvs.length]).toEqual([KEYS, KEYS]);
  await watched(client, 1, 2 * KEYS);
});
