/** A server under measurement: a process of its own that writes its log to a file, as a service does. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 1;
const STOP_TIMEOUT_MS = 10_000;
const SHOWN_LOG_BYTES = 4_000;

/** Whatever runs when this process ends (an error, Ctrl-C) ends with it. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export interface ServerOptions {
  readonly command: string;
  readonly parameters: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where clients ask. */
  readonly url: string;
  /** Answers 200 once the server serves. */
  readonly healthPath: string;
  /** stdout and stderr go there. */
  readonly logFile: string;
}

export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** From starting the program to the first 200, in ms. */
  readonly startUpMs: number;
  /** Ends it and waits until it has gone. */
  stop(): Promise<void>;
}

/** Starts a server and waits until it serves. Rejects, with the end of its log, when it does not. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const log = openSync(options.logFile, "a");
  const begun = performance.now();
  const child = spawn(options.command, options.parameters, {
    stdio: ["ignore", log, log],
    env: { ...process.env, ...options.env },
  });
  running.add(child);
  closeSync(log);
  let ended = false;
  const gone = once(child, "close").finally(() => {
    ended = true;
    running.delete(child);
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await gone.finally(() => clearTimeout(killer));
  };
  while (!(await answers(`${options.url}${options.healthPath}`))) {
    if (ended || performance.now() - begun > READY_TIMEOUT_MS) {
      child.kill("SIGKILL");
      const written = readFileSync(options.logFile, "utf8").slice(-SHOWN_LOG_BYTES);
      throw new Error(`${options.command} did not serve ${options.url}; it wrote:\n${written}`);
    }
    await sleep(POLL_MS);
  }
  const startUpMs = performance.now() - begun;
  return { url: options.url, pid: child.pid ?? 0, startUpMs, stop, [Symbol.asyncDispose]: stop };
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
  });
}
