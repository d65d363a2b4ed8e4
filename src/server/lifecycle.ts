/** The service as a process: starts, says so, waits for a signal, stops in time. */
import { constants } from "node:os";
import { MusterError } from "../base/errors.ts";
import { SIGNAL_ECHO_MS, STOP_DEADLINE_MS } from "../base/limits.ts";
import { Service, type ServiceOptions } from "./service.ts";
import type { StoreConfig } from "./store-config.ts";

/** As much of `process` as the lifecycle needs; tests bring their own. */
export interface ProcessControl {
  on(event: StopSignal | FatalEvent, listener: (reason: unknown) => void): unknown;
  off(event: StopSignal | FatalEvent, listener: (reason: unknown) => void): unknown;
  /** Ends the process at once. */
  exit(code: number): void;
}

export interface LifecycleOptions extends ServiceOptions {
  readonly control: ProcessControl;
  /** Told once everything listens. */
  readonly onReady: (service: Service) => void;
}

/** SIGHUP comes when the terminal that Muster runs in is closed. */
type StopSignal = "SIGTERM" | "SIGINT" | "SIGHUP";
type FatalEvent = "uncaughtException" | "unhandledRejection";

const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const satisfies readonly StopSignal[];
const FATAL_EVENTS = ["uncaughtException", "unhandledRejection"] as const satisfies readonly FatalEvent[];

/**
 * Runs the service until SIGTERM, SIGINT or SIGHUP; resolves when it has stopped, within STOP_DEADLINE_MS of the signal. A
 * second signal ends the process at once with 128 + its number. Errors: those of Service.start; `internal` when
 * stopping took too long.
 */
export async function runService(options: LifecycleOptions): Promise<void> {
  const signals = new Signals(options);
  const fatal = (reason: unknown) => {
    options.log.fatal({ err: reason }, "an error that nothing handled ends the process");
    options.control.exit(1);
  };
  for (const event of FATAL_EVENTS) options.control.on(event, fatal);
  try {
    const service = await Service.start(options);
    // A signal that came while starting ends it without a banner that invites to use it.
    if (!signals.received) options.onReady(service);
    await signals.first;
    await within(STOP_DEADLINE_MS, service.stop(), options.config.store);
    options.log.info({}, "stopped");
  } finally {
    signals.forget();
    for (const event of FATAL_EVENTS) options.control.off(event, fatal);
  }
}

/** The first signal asks for a clean stop, the next one for an end. */
class Signals {
  readonly first: Promise<void>;
  readonly #options: LifecycleOptions;
  readonly #listeners = new Map<StopSignal, () => void>();
  #resolveFirst: () => void = () => undefined;
  #firstAt: number | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.first = new Promise((resolve) => {
      this.#resolveFirst = resolve;
    });
    for (const signal of STOP_SIGNALS) {
      const listener = () => this.#receive(signal);
      this.#listeners.set(signal, listener);
      options.control.on(signal, listener);
    }
  }

  get received(): boolean {
    return this.#firstAt !== undefined;
  }

  forget(): void {
    for (const [signal, listener] of this.#listeners) this.#options.control.off(signal, listener);
  }

  #receive(signal: StopSignal): void {
    const { log, clock, control } = this.#options;
    if (this.#firstAt === undefined) {
      this.#firstAt = clock.monotonic();
      log.info({ signal }, "stopping; a second signal ends it at once");
      this.#resolveFirst();
    } else if (clock.monotonic() - this.#firstAt > SIGNAL_ECHO_MS) {
      log.warn({ signal }, "ended at once by a second signal");
      control.exit(128 + constants.signals[signal]);
    }
  }
}

async function within(deadlineMs: number, work: Promise<void>, store: StoreConfig): Promise<void> {
  const advice =
    store.kind === "etcd" ? "Look after the etcd behind this Muster" : "Check the disk of the data directory";
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const message = `${advice}: stopping took longer than ${deadlineMs} ms, ended without finishing`;
      reject(new MusterError("internal", message));
    }, deadlineMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
