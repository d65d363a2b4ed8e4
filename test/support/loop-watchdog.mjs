// Preloaded into a program under test (`node --import`): tells on stderr, in one line, when something held its event
// loop longer than LIMIT_MS. It counts from the first HTTP request on: before that nobody waits for an answer.
//
// A timer that is due every TICK_MS shows it, late by at most the hold's length. What the kernel made the main thread
// wait for a CPU is taken off, where it tells (Linux), and so is what it made another thread wait: a garbage collection
// stops the main thread until helping threads are done. A process that was stopped and continued was not held.
import { subscribe } from "node:diagnostics_channel";
import { closeSync, openSync, readdirSync, readSync, writeSync } from "node:fs";

const LIMIT_MS = 200;
const TICK_MS = 20;

const TASKS = "/proc/self/task";
const MAIN = String(process.pid);

/** The files that tell of the threads, by their numbers; the main thread's is the process's. */
const files = new Map();
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
  const { ranMs, waitedMs } = ofThread(MAIN, now);
  const helpers = [...now.threads.keys()].filter((number) => number !== MAIN && before.threads.has(number));
  const helperMs = Math.max(0, ...helpers.map((number) => ofThread(number, now).waitedMs));
  // However long others waited, the loop was held while its own thread ran.
  const heldMs = Math.max(ranMs, now.ms - before.ms - waitedMs - helperMs) - TICK_MS;
  if (heldMs > LIMIT_MS) {
    const begun = now.requests - before.requests;
    const waits = `waited ${Math.round(waitedMs)} ms for a CPU, and a helping thread ${Math.round(helperMs)} ms`;
    const ran = `it ran ${Math.round(ranMs)} ms and ${waits}`;
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
  return { ms: performance.now(), threads: readThreads(), requests };
}

/** What a thread did since the tick before: ms on a CPU, ms ready to run without one. */
function ofThread(number, now) {
  const [ranNs = 0, waitedNs = 0] = now.threads.get(number) ?? [];
  const [ranBeforeNs = 0, waitedBeforeNs = 0] = before.threads.get(number) ?? [];
  return { ranMs: (ranNs - ranBeforeNs) / 1e6, waitedMs: (waitedNs - waitedBeforeNs) / 1e6 };
}

/** By number: ns on a CPU, ns ready to run without one. None where the system does not tell: all lateness counts then. */
function readThreads() {
  const threads = new Map();
  for (const number of threadNumbers()) {
    try {
      if (!files.has(number)) files.set(number, openSync(`${TASKS}/${number}/schedstat`, "r"));
      threads.set(number, readNumbers(files.get(number)));
    } catch {
      // It has just ended.
      forget(number);
    }
  }
  return threads;
}

function threadNumbers() {
  try {
    const numbers = new Set(readdirSync(TASKS));
    for (const number of files.keys()) if (!numbers.has(number)) forget(number);
    return numbers;
  } catch {
    // Not Linux.
    return [];
  }
}

function forget(number) {
  const file = files.get(number);
  if (file !== undefined) closeSync(file);
  files.delete(number);
}

function readNumbers(file) {
  const length = readSync(file, buffer, 0, buffer.length, 0);
  return buffer.toString("latin1", 0, length).split(" ").map(Number);
}
