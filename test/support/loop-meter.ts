/** How long the event loop is held at a time, less what the machine kept it waiting for a processor. */
import { readdirSync, readFileSync } from "node:fs";

/** How often the meter looks; a hold is told up to so much too long. */
const INTERVAL_MS = 5;
const TASKS = "/proc/self/task";
/** The main thread's number is the process's. */
const MAIN = String(process.pid);

export class LoopMeter {
  readonly #timer: NodeJS.Timeout;
  #last = moment();
  #longestMs = 0;

  /** Begins to measure, on the main thread of a process. Must be stopped. */
  constructor() {
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
  }

  /** Measures no more; answers with the longest hold, in ms. */
  stop(): number {
    clearInterval(this.#timer);
    this.#look();
    return this.#longestMs;
  }

  #look(): void {
    const now = moment();
    this.#longestMs = Math.max(this.#longestMs, heldMs(this.#last, now));
    this.#last = now;
  }
}

interface Thread {
  /** How long it has run. */
  readonly ranMs: number;
  /** How long it has been ready to run, and had no processor to run on. */
  readonly waitedMs: number;
}

interface Moment {
  readonly wallMs: number;
  /** By number; none where the system does not tell. */
  readonly threads: ReadonlyMap<string, Thread>;
}

/**
 * A garbage collection stops the main thread until helping threads are done, and these wait for a processor too: so what
 * the main thread waited and what the longest waiting other one did is the machine's. In any case the loop was held for
 * as long as its thread ran.
 */
function heldMs(from: Moment, to: Moment): number {
  const waited = (number: string) =>
    (to.threads.get(number)?.waitedMs ?? 0) - (from.threads.get(number)?.waitedMs ?? 0);
  const others = [...to.threads.keys()].filter((number) => number !== MAIN && from.threads.has(number));
  const waitedMs = waited(MAIN) + Math.max(0, ...others.map(waited));
  const ranMs = (to.threads.get(MAIN)?.ranMs ?? 0) - (from.threads.get(MAIN)?.ranMs ?? 0);
  return Math.max(ranMs, to.wallMs - from.wallMs - waitedMs);
}

function moment(): Moment {
  return { wallMs: performance.now(), threads: threads() };
}

/** Linux counts it for each thread; elsewhere all time counts as the loop's. */
function threads(): ReadonlyMap<string, Thread> {
  const found = new Map<string, Thread>();
  try {
    for (const number of readdirSync(TASKS)) {
      const [ranNs = "0", waitedNs = "0"] = schedstat(number).split(" ");
      found.set(number, { ranMs: Number(ranNs) / 1e6, waitedMs: Number(waitedNs) / 1e6 });
    }
  } catch {
    // No Linux.
  }
  return found;
}

/** Empty for a thread that has just ended. */
function schedstat(number: string): string {
  try {
    return readFileSync(`${TASKS}/${number}/schedstat`, "utf8");
  } catch {
    return "";
  }
}
