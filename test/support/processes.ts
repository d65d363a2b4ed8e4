import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

const STOP_TIMEOUT_MS = 30_000;
/** A busy machine takes long to start a program. */
const OUTPUT_TIMEOUT_MS = 60_000;

/** Whatever still runs when the test process ends (a failed test, a time-out) ends with it. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) {
    child.kill("SIGKILL");
  }
});

export interface ProcessOptions {
  /** Added to the test's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface RunningProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything that it has written so far, stdout and stderr as they came. */
  output(): string;
  /** Resolves when it has ended, by itself or by a signal. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /**
   * Waits until the output matches; rejects, with the output, when the process ends first or `timeoutMs` (default
   * 60 s) are over.
   */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Sends a signal without waiting. */
  kill(signal: NodeJS.Signals): void;
  /** Sends a signal (default SIGTERM), waits for the end, and after 30 s kills. Harmless when it has ended already. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a program whose handle stops it; `await using` does so by itself. */
export async function startProcess(
  command: string,
  parameters: readonly string[],
  options: ProcessOptions = {},
): Promise<RunningProcess> {
  const child = spawn(command, parameters, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  await once(child, "spawn");
  running.add(child);
  const output = collectOutput(child);
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    child.kill(signal);
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(killer);
  };
  return {
    pid: child.pid ?? 0,
    output: output.text,
    ended,
    waitForOutput: (pattern, timeoutMs = OUTPUT_TIMEOUT_MS) =>
      output.waitFor({ pattern, timeoutMs, ended, name: command }),
    kill: (signal) => void child.kill(signal),
    stop,
    [Symbol.asyncDispose]: () => stop("SIGKILL"),
  };
}

interface OutputWait {
  readonly pattern: RegExp;
  readonly timeoutMs: number;
  readonly ended: Promise<unknown>;
  readonly name: string;
}

function collectOutput(child: ChildProcess) {
  let text = "";
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      for (const listener of listeners) {
        listener();
      }
    });
  }
  const waitFor = ({ pattern, timeoutMs, ended, name }: OutputWait) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const finish = (): void => {
        listeners.delete(look);
        clearTimeout(timer);
      };
      const look = (): boolean => {
        const match = new RegExp(pattern, pattern.flags.replace("g", "")).exec(text);
        if (match !== null) {
          finish();
          resolve(match);
        }
        return match !== null;
      };
      const fail = (why: string): void => {
        if (!look()) {
          finish();
          reject(new Error(`${name} ${why} without writing ${pattern}; it wrote:\n${text}`));
        }
      };
      const timer = setTimeout(() => fail(`ran ${timeoutMs} ms`), timeoutMs);
      listeners.add(look);
      look();
      void ended.then(() => fail("ended"));
    });
  return { text: () => text, waitFor };
}

/** TCP ports of 127.0.0.1 that nobody listens on now; somebody may before they are used, so starters try again. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") {
      throw new Error("a TCP server has no port");
    }
    ports.push(address.port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
