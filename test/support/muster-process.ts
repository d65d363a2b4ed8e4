import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFailed } from "vitest";
import { restartablePorts } from "./ports.ts";
import { type RunningProcess, startProcess } from "./processes.ts";
import { Supervisor } from "./supervisor.ts";
import { answersOk, until } from "./until.ts";
import { refuseHolds, WATCHDOG } from "./watchdog.ts";

const MUSTER = fileURLToPath(new URL("../../bin/muster", import.meta.url));
const DIE_BEFORE_ANSWER = new URL("die-before-answer.mjs", import.meta.url).href;
const READY_TIMEOUT_MS = 60_000;

export interface MusterOptions {
  /** Added to its command line after the listeners and the store. */
  readonly flags?: readonly string[];
  /** The flags that name its store; without them it has its own, in its directory. */
  readonly store?: readonly string[];
  /** Start it again a second after it exits, as systemd would. */
  readonly supervised?: boolean;
  /** Modules to load into it first, as URLs. */
  readonly preloads?: readonly string[];
  /**
   * Run by run: the process is killed between the sync of this new registration (1 is its first) and the answer. Runs
   * beyond the list, and those with 0, answer all.
   */
  readonly diesBeforeAnswer?: readonly number[];
  /** Print nothing when the test fails: the test tells what matters itself. */
  readonly quiet?: boolean;
}

/**
 * The real `bin/muster serve` on ports and in a data directory of its own, under a watchdog: ending it fails when
 * something held its event loop too long.
 */
export class MusterProcess implements AsyncDisposable {
  /** Such as `http://127.0.0.1:21234`: where nodes that boot go. */
  readonly publicUrl: string;
  /** Where /v2/keys is. */
  readonly clientUrl: string;
  readonly directory: string;
  readonly #options: MusterOptions;
  readonly #supervisor: Supervisor;

  private constructor(place: { directory: string; publicPort: number; clientPort: number }, options: MusterOptions) {
    this.directory = place.directory;
    this.publicUrl = `http://127.0.0.1:${place.publicPort}`;
    this.clientUrl = `http://127.0.0.1:${place.clientPort}`;
    this.#options = options;
    this.#supervisor = new Supervisor({ launch: () => this.#launch(), restarts: options.supervised ?? false });
  }

  /** Starts one, within a test, and waits until it is ready to serve. A test that fails prints what it wrote. */
  static async start(options: MusterOptions = {}): Promise<MusterProcess> {
    const directory = await mkdtemp(join(tmpdir(), "muster-e2e-"));
    const [publicPort = 0, clientPort = 0] = await restartablePorts(2);
    const muster = new MusterProcess({ directory, publicPort, clientPort }, options);
    if (options.quiet !== true) {
      onTestFailed(() => console.error(`--- muster (${muster.publicUrl}):\n${muster.output()}`));
    }
    try {
      await muster.restart();
    } catch (error) {
      await muster.stop();
      throw error;
    }
    return muster;
  }

  /** How often it was started, by us or its supervisor. */
  get starts(): number {
    return this.#supervisor.starts;
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#supervisor.process?.pid;
  }

  /** Everything that it has written, over all its runs. */
  output(): string {
    return this.#supervisor.output();
  }

  /** Waits until the process that runs now has written something. */
  async waitForOutput(pattern: RegExp): Promise<void> {
    await this.#supervisor.process?.waitForOutput(pattern);
  }

  /** Starts it again after a kill, on the same ports and directory, and waits until it is ready. */
  async restart(): Promise<void> {
    const child = await this.#supervisor.start();
    const ended = child.ended.then(({ code, signal }) => {
      throw new Error(`muster ended (${signal ?? code}) before it was ready`);
    });
    const ready = this.whenReady();
    try {
      await Promise.race([ready, ended]);
    } catch (cause) {
      throw new Error(`muster did not come up; it wrote:\n${child.output()}`, { cause });
    } finally {
      // Whichever comes second concerns nobody any more.
      void Promise.allSettled([ready, ended]);
    }
  }

  /** Waits until it serves, for one that its supervisor started. */
  async whenReady(): Promise<void> {
    await until(() => answersOk(`${this.publicUrl}/health`), { timeoutMs: READY_TIMEOUT_MS, what: "muster's health" });
  }

  /** Kills the process behind its supervisor's back and waits until that has started it again. */
  async crash(): Promise<void> {
    await this.#supervisor.crash();
  }

  /** Ends it by a signal and waits until it is gone. Rejects when something had held its event loop too long. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    await this.#supervisor.stop(signal);
    refuseHolds(this.output());
  }

  /** Sends its process a signal without waiting. */
  signal(signal: NodeJS.Signals): void {
    this.#supervisor.process?.kill(signal);
  }

  /** Asks for a token as people do, and gives its URL. */
  async newToken(size: number): Promise<string> {
    const answer = await fetch(`${this.publicUrl}/new?size=${size}`);
    const text = await answer.text();
    if (!answer.ok) {
      throw new Error(`/new?size=${size} answered ${answer.status}: ${text}`);
    }
    return text.trim();
  }

  /** Ends it and removes its data. Rejects as `kill` does, when that is done. */
  async stop(): Promise<void> {
    try {
      await this.kill("SIGKILL");
    } finally {
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #launch(): Promise<RunningProcess> {
    const { flags = [], preloads = [], diesBeforeAnswer = [], store = ["--data-dir", this.directory] } = this.#options;
    const deadly = diesBeforeAnswer[this.starts] ?? 0;
    const imports = [WATCHDOG, ...preloads, ...(deadly > 0 ? [DIE_BEFORE_ANSWER] : [])];
    const parameters = [
      ...[...imports.flatMap((url) => ["--import", url]), MUSTER, "serve"],
      ...["--listen", new URL(this.publicUrl).host, "--client-listen", new URL(this.clientUrl).host],
      ...[...store, ...flags],
    ];
    return startProcess(process.execPath, parameters, { env: { MUSTER_TEST_DIES_BEFORE_ANSWER: String(deadly) } });
  }
}
