import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFailed } from "vitest";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { etcdEnvironment } from "./etcd-server.ts";
import { restartablePorts } from "./ports.ts";
import { type RunningProcess, startProcess } from "./processes.ts";
import { answersOk, until } from "./until.ts";

/** What systemd waits before it starts a service again (RestartSec of etcd's unit is 5 s, its own default 100 ms). */
const SUPERVISOR_PAUSE_MS = 1000;
const RESTART_MARGIN_MS = 10_000;

export interface EtcdNodeOptions {
  readonly name: string;
  /** The discovery URL, as `--discovery` takes it. */
  readonly discovery: string;
  /** Added to its command line. */
  readonly flags?: readonly string[];
  /** Start it again a second after it exits, as systemd would. */
  readonly supervised?: boolean;
}

/** A real etcd that finds its peers by v2 discovery, on ports and in a data directory of its own, which it keeps over restarts. */
export class EtcdNode implements AsyncDisposable {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly #program: string;
  readonly #flags: readonly string[];
  readonly #directory: string;
  readonly #supervised: boolean;
  #process: RunningProcess | undefined;
  #earlierOutput = "";
  #starts = 0;
  #supervision: Promise<void> | undefined;
  /** Aborted when it is stopped on purpose, so that its supervisor rests. */
  #running = new AbortController();

  private constructor(program: string, place: Place, options: EtcdNodeOptions) {
    this.name = options.name;
    this.clientUrl = `http://127.0.0.1:${place.clientPort}`;
    this.peerUrl = `http://127.0.0.1:${place.peerPort}`;
    this.#program = program;
    this.#directory = place.directory;
    this.#supervised = options.supervised ?? false;
    this.#flags = [
      ...["--name", options.name, "--data-dir", join(place.directory, "data")],
      ...["--discovery", options.discovery, "--enable-v2=true"],
      ...["--listen-client-urls", this.clientUrl, "--advertise-client-urls", this.clientUrl],
      ...["--listen-peer-urls", this.peerUrl, "--initial-advertise-peer-urls", this.peerUrl],
      ...["--logger", "zap", "--log-outputs", "stderr"],
      ...(options.flags ?? []),
    ];
  }

  /** Starts one, within a test, which prints what it wrote if it fails. It is then booting: see `whenHealthy`. */
  static async start(binaries: EtcdBinaries, options: EtcdNodeOptions): Promise<EtcdNode> {
    const directory = await mkdtemp(join(tmpdir(), `muster-e2e-${options.name}-`));
    const [clientPort = 0, peerPort = 0] = await restartablePorts(2);
    const node = new EtcdNode(binaries.etcd, { directory, clientPort, peerPort }, options);
    onTestFailed(() => console.error(`--- ${node.name} (${node.clientUrl}):\n${node.output()}`));
    await node.restart();
    return node;
  }

  /** How often it was started, by us or its supervisor. */
  get starts(): number {
    return this.#starts;
  }

  /** Resolves when the process that runs now has ended. */
  async whenEnded(): Promise<void> {
    await this.#process?.ended;
  }

  /** Everything that it has written, over all its runs. */
  output(): string {
    return this.#earlierOutput + (this.#process?.output() ?? "");
  }

  /** Waits until the process that runs now has written something. */
  async waitForOutput(pattern: RegExp, timeoutMs: number): Promise<void> {
    if (this.#process === undefined) {
      throw new Error(`start ${this.name} first: it does not run`);
    }
    await this.#process.waitForOutput(pattern, timeoutMs);
  }

  /** Waits until it serves clients: a cluster has formed, it is in it, and there is a leader. */
  async whenHealthy(timeoutMs: number): Promise<void> {
    await until(() => answersOk(`${this.clientUrl}/health`), { timeoutMs, what: `${this.name}'s health` });
  }

  /** Starts it again after a kill, from its data directory. */
  async restart(): Promise<void> {
    this.#running = new AbortController();
    await this.#launch();
    if (this.#supervised) {
      this.#supervision = this.#supervise(this.#running.signal);
    }
  }

  /** Kills the process behind its supervisor's back and waits until that has started it again. */
  async crash(): Promise<void> {
    const { starts } = this;
    await this.#process?.stop("SIGKILL");
    await until(async () => (this.starts > starts ? true : undefined), {
      timeoutMs: SUPERVISOR_PAUSE_MS + RESTART_MARGIN_MS,
      what: `${this.name}'s supervisor`,
    });
  }

  /** Ends it by a signal and waits until it is gone; its data stays. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#running.abort();
    await this.#process?.stop(signal);
    await this.#supervision;
    this.#keepOutput();
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.kill("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #launch(): Promise<void> {
    this.#keepOutput();
    this.#process = await startProcess(this.#program, this.#flags, { env: etcdEnvironment() });
    this.#starts += 1;
  }

  async #supervise(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await this.#process?.ended;
      // Rejects only when it was stopped on purpose, which the loop then sees.
      await sleep(SUPERVISOR_PAUSE_MS, undefined, { signal: stopped }).catch(() => {});
      if (!stopped.aborted) {
        await this.#launch();
      }
    }
    await this.#process?.stop("SIGKILL");
  }

  #keepOutput(): void {
    this.#earlierOutput += this.#process?.output() ?? "";
    this.#process = undefined;
  }
}

interface Place {
  readonly directory: string;
  readonly clientPort: number;
  readonly peerPort: number;
}
