// Preloaded into a program under test (`node --import`): tells on stderr, in one line, when something held its event
// loop longer than LIMIT_MS. It counts from the first HTTP request on: before that nobody waits for an answer.
//
// A timer that is due every TICK_MS shows it, late by at most the hold's length. What the kernel made the main thread
// wait for a CPU is taken off, where it tells (Linux), and a process that was stopped and continued was not held.
import { subscribe } from "node:diagnostics_channel";
import { openSync, readSync, writeSync } from "node:fs";

const LIMIT_MS = 200;
const TICK_MS = 20;

const schedstat = openSchedstat();
const buffer = Buffer.alloc(128);
let requests = 0;
let lastRequest = "";
/** Ticks for which a SIGCONT counts: the late tick comes before or after it is told here. */
let continuedTicks = 0;
let suspect = "";
let before;

process.on("SIGCONT", () => {
  continuedTicks = 2;
});

subscribe("http.server.request.start", ({ request }) => {
  if (requests === 0) {
    before = look();
    setInterval(tick, TICK_MS).unref();
  }
  requests += 1;
  lastRequest = `${request.method} ${request.url}`;
});

// A process that exits by itself has no next tick.
process.on("exit", tell);

function tick() {
  tell();
  const now = look();
  const waitedMs = now.waitedMs - before.waitedMs;
  const heldMs = now.ms - before.ms - TICK_MS - waitedMs;
  if (heldMs > LIMIT_MS) {
    const begun = now.requests - before.requests;
    const ran = `it ran ${Math.round(now.ranMs - before.ranMs)} ms and waited ${Math.round(waitedMs)} ms for a CPU`;
    suspect = `loop-watchdog: held ${Math.round(heldMs)} ms: ${ran}; ${begun} requests began, the last ${lastRequest}\n`;
  }
  before = now;
}

/** A tick later than it was seen: that the process was continued may show only after the tick that was late. */
function tell() {
  if (suspect !== "" && continuedTicks === 0) {
    writeSync(2, suspect);
  }
  suspect = "";
  continuedTicks = Math.max(0, continuedTicks - 1);
}

function look() {
  const [ranNs = 0, waitedNs = 0] = schedstat === undefined ? [] : readNumbers(schedstat);
  return { ms: performance.now(), ranMs: ranNs / 1e6, waitedMs: waitedNs / 1e6, requests };
}

/** Of the main thread, whose ID is the process's: ns on a CPU, ns runnable without one. */
function openSchedstat() {
  try {
    return openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  } catch {
    // Not Linux: all lateness counts.
    return undefined;
  }
}

function readNumbers(file) {
  const length = readSync(file, buffer, 0, buffer.length, 0);
  return buffer.toString("latin1", 0, length).split(" ").map(Number);
}
