import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFailed } from "vitest";
import { restartablePorts } from "./ports.ts";
import { type RunningProcess, startProcess } from "./processes.ts";
import { answersOk, until } from "./until.ts";

const MUSTER = fileURLToPath(new URL("../../bin/muster", import.meta.url));
const READY_TIMEOUT_MS = 20_000;

export interface MusterOptions {
  /** Added to its command line after the listeners and the data directory. */
  readonly flags?: readonly string[];
}

/** The real `bin/muster serve` on ports and in a data directory of its own. */
export class MusterProcess implements AsyncDisposable {
  /** Such as `http://127.0.0.1:21234`: where nodes that boot go. */
  readonly publicUrl: string;
  /** Where /v2/keys is. */
  readonly clientUrl: string;
  readonly directory: string;
  readonly #flags: readonly string[];
  #process: RunningProcess | undefined;
  #earlierOutput = "";

  private constructor(place: { directory: string; publicPort: number; clientPort: number }, options: MusterOptions) {
    this.directory = place.directory;
    this.publicUrl = `http://127.0.0.1:${place.publicPort}`;
    this.clientUrl = `http://127.0.0.1:${place.clientPort}`;
    this.#flags = options.flags ?? [];
  }

  /** Starts one, within a test, and waits until it is ready to serve. A test that fails prints what it wrote. */
  static async start(options: MusterOptions = {}): Promise<MusterProcess> {
    const directory = await mkdtemp(join(tmpdir(), "muster-e2e-"));
    const [publicPort = 0, clientPort = 0] = await restartablePorts(2);
    const muster = new MusterProcess({ directory, publicPort, clientPort }, options);
    onTestFailed(() => console.error(`--- muster (${muster.publicUrl}):\n${muster.output()}`));
    try {
      await muster.restart();
    } catch (error) {
      await muster.stop();
      throw error;
    }
    return muster;
  }

  /** Everything that it has written, over all its runs. */
  output(): string {
    return this.#earlierOutput + (this.#process?.output() ?? "");
  }

  /** Starts it again after a kill, on the same ports and directory, and waits until it is ready. */
  async restart(): Promise<void> {
    const flags = [
      ...["--listen", new URL(this.publicUrl).host, "--client-listen", new URL(this.clientUrl).host],
      ...["--data-dir", this.directory, ...this.#flags],
    ];
    const child = await startProcess(process.execPath, [MUSTER, "serve", ...flags]);
    this.#process = child;
    const ended = child.ended.then(({ code, signal }) => {
      throw new Error(`muster ended (${signal ?? code}) before it was ready`);
    });
    const ready = until(() => answersOk(`${this.publicUrl}/health`), { timeoutMs: READY_TIMEOUT_MS, what: "/health" });
    try {
      await Promise.race([ready, ended]);
    } catch (cause) {
      throw new Error(`muster did not come up; it wrote:\n${child.output()}`, { cause });
    } finally {
      // Whichever comes second concerns nobody any more.
      void Promise.allSettled([ready, ended]);
    }
  }

  /** Ends it by a signal and waits until it is gone. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    await child?.stop(signal);
    this.#earlierOutput += child?.output() ?? "";
    this.#process = undefined;
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

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.kill("SIGKILL");
    await rm(this.directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
