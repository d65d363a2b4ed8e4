/**
 * Durable puts per second on the embedded engine, by how many callers put at a time.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir /tmp/muster-bench && ln -sfn "$PWD/node_modules" /tmp/muster-bench/
 *   node /tmp/muster-bench/bench/engine-puts.js [directory]
 *
 * With Node 22.18 or newer: node bench/engine-puts.ts [directory]
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { systemClock } from "../src/base/clock.ts";
import type { Engine } from "../src/engine/engine.ts";
import { openLmdbEngine } from "../src/engine/lmdb/lmdb-engine.ts";

const SECONDS = 3;
const KEYS_PER_CALLER = 1000;
const VALUE = Buffer.alloc(100, "v");

async function run(engine: Engine, callers: number): Promise<string> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const begin = performance.now();
  const end = begin + SECONDS * 1000;
  let puts = 0;
  const waits: number[] = [];
  const call = async (caller: number) => {
    for (let round = 0; performance.now() < end; round++) {
      const key = Buffer.from(`/bench/${caller}/${round % KEYS_PER_CALLER}`);
      const asked = performance.now();
      await engine.txn({ compares: [], success: [{ kind: "put", request: { key, value: VALUE } }], failure: [] });
      waits.push(performance.now() - asked);
      puts++;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  delay.disable();
  waits.sort((a, b) => a - b);
  const at = (share: number) => (waits[Math.floor(waits.length * share)] ?? 0).toFixed(2);
  const rate = Math.round((puts * 1000) / (performance.now() - begin));
  return `${callers} callers: ${rate} puts/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, event loop held up to ${(delay.max / 1e6).toFixed(0)} ms`;
}

const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), "muster-bench-"));
try {
  const engine = await openLmdbEngine({ directory, clock: systemClock });
  for (const callers of [1, 16, 64, 256]) {
    console.log(await run(engine, callers));
  }
  await engine.close();
  console.log(`data.mdb: ${(statSync(join(directory, "data.mdb")).size / 2 ** 20).toFixed(0)} MiB`);
} finally {
  rmSync(directory, { recursive: true });
}
