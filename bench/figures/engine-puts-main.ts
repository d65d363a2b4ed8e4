/** The process behind engine-puts.ts: DIRECTORY CALLERS MS; prints what it measured as JSON. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { systemClock } from "../../src/base/clock.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";

const KEYS_PER_CALLER = 1000;
const VALUE = Buffer.alloc(100, "v");

const [directory = "", callers, ms] = process.argv.slice(2);
const engine = await openLmdbEngine({ directory, clock: systemClock });
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const waits: number[] = [];
const begun = performance.now();

async function call(caller: number): Promise<void> {
  for (let round = 0; performance.now() - begun < Number(ms); round++) {
    const key = Buffer.from(`/bench/${caller}/${round % KEYS_PER_CALLER}`);
    const asked = performance.now();
    await engine.txn({ compares: [], success: [{ kind: "put", request: { key, value: VALUE } }], failure: [] });
    waits.push(performance.now() - asked);
  }
}

await Promise.all(Array.from({ length: Number(callers) }, (_, caller) => call(caller)));
const perSecond = (waits.length * 1000) / (performance.now() - begun);
delay.disable();
waits.sort((a, b) => a - b);
const at = (share: number) => waits[Math.floor(waits.length * share)] ?? 0;
console.log(JSON.stringify({ perSecond, p50Ms: at(0.5), p99Ms: at(0.99), heldMs: delay.max / 1e6 }));
await engine.close();
