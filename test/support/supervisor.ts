import { setTimeout as sleep } from "node:timers/promises";
import type { RunningProcess } from "./processes.ts";
import { until } from "./until.ts";

/** What systemd waits before it starts a service again (RestartSec of etcd's unit is 5 s, its own default 100 ms). */
const PAUSE_MS = 1000;
const RESTART_MARGIN_MS = 60_000;

export interface SupervisorOptions {
  /** Starts one process. */
  readonly launch: () => Promise<RunningProcess>;
  /** Start it again a second after it exits, as systemd would. */
  readonly restarts: boolean;
}

/** Runs one program at a time, again and again, and keeps what all its processes wrote. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  #process: RunningProcess | undefined;
  #earlierOutput = "";
  #starts = 0;
  #supervision: Promise<void> | undefined;
  /** Aborted when it is stopped on purpose, so that nothing is started again. */
  #running = new AbortController();
  #beforeLaunch: (() => Promise<void>) | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** The process that runs now, or ran last; undefined where there is none by purpose. */
  get process(): RunningProcess | undefined {
    return this.#process;
  }

  /** How often it was started, for whatever reason. */
  get starts(): number {
    return this.#starts;
  }

  /** Everything that was written, over all runs. */
  output(): string {
    return this.#earlierOutput + (this.#process?.output() ?? "");
  }

  /** Starts it, the first time or after a stop. */
  async start(): Promise<RunningProcess> {
    this.#running = new AbortController();
    const child = await this.#launch();
    if (this.#options.restarts) {
      this.#supervision = this.#supervise(this.#running.signal);
    }
    return child;
  }

  /**
   * Kills the process behind the supervisor's back and waits until it is started again. `meanwhile` runs when it has
   * ended and before it is started.
   */
  async crash(meanwhile?: () => Promise<void>): Promise<void> {
    const { starts } = this;
    this.#beforeLaunch = meanwhile;
    await this.#process?.stop("SIGKILL");
    await until(async () => (this.starts > starts ? true : undefined), {
      timeoutMs: PAUSE_MS + RESTART_MARGIN_MS,
      what: "the supervisor to start it again",
    });
  }

  /** Ends it by a signal, for good, and waits until it is gone. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#running.abort();
    await this.#process?.stop(signal);
    await this.#supervision;
    this.#keepOutput();
  }

  async #launch(): Promise<RunningProcess> {
    this.#keepOutput();
    const child = await this.#options.launch();
    this.#process = child;
    this.#starts += 1;
    return child;
  }

  async #supervise(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await this.#process?.ended;
      // Rejects only when it was stopped on purpose, which the loop then sees.
      await sleep(PAUSE_MS, undefined, { signal: stopped }).catch(() => {});
      const meanwhile = this.#beforeLaunch;
      this.#beforeLaunch = undefined;
      await meanwhile?.();
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
