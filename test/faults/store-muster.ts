/** A Muster of a fault run: in a place of its own, started again a second after it ends, its clock to be moved. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningProcess } from "../support/processes.ts";
import { Supervisor } from "../support/supervisor.ts";
import { answersOk, until } from "../support/until.ts";
import { WATCHDOG } from "../support/watchdog.ts";
import type { Place } from "./place.ts";
import type { Relay } from "./relay.ts";
import type { Target } from "./target.ts";

const MUSTER = fileURLToPath(new URL("../../bin/muster", import.meta.url));
const CLOCK = new URL("shifted-clock.mjs", import.meta.url).href;
const READY_MS = 60_000;

export class StoreMuster implements Target, AsyncDisposable {
  readonly place: Place;
  readonly clientUrl: string;
  readonly publicUrl: string;
  /** What it reaches its store through; absent: nothing. */
  readonly relay: Relay | undefined;
  readonly #directory: string;
  readonly #flags: readonly string[];
  readonly #supervisor: Supervisor;
  /** How often it was killed on purpose. */
  #kills = 0;
  #exitsTaken = 0;

  private constructor(parts: {
    readonly place: Place;
    readonly directory: string;
    readonly ports: readonly number[];
    readonly store: readonly string[] | undefined;
    readonly relay: Relay | undefined;
  }) {
    const { place, directory, ports, store, relay } = parts;
    const [publicPort = 0, clientPort = 0] = ports;
    this.place = place;
    this.publicUrl = `http://${place.address}:${publicPort}`;
    this.clientUrl = `http://${place.address}:${clientPort}`;
    this.relay = relay;
    this.#directory = directory;
    this.#flags = store ?? ["--data-dir", join(directory, "data")];
    this.#supervisor = new Supervisor({ launch: () => this.#launch(), restarts: true });
  }

  /** `store`: the options that name it; absent: an embedded one of its own. `relay`: where they name that, for faults. */
  static async start(place: Place, store?: readonly string[], relay?: Relay): Promise<StoreMuster> {
    const directory = await mkdtemp(join(tmpdir(), `muster-faults-${place.name}-`));
    const muster = new StoreMuster({ place, directory, ports: await place.ports(2), store, relay });
    try {
      await muster.#supervisor.start();
      await muster.whenReady();
      return muster;
    } catch (error) {
      const output = muster.output();
      await muster[Symbol.asyncDispose]();
      throw new Error(`${place.name} did not come up; it wrote:\n${output}`, { cause: error });
    }
  }

  get name(): string {
    return this.place.name;
  }

  /** How often it ended by itself since this was asked last. */
  takeExits(): number {
    const exits = this.#supervisor.starts - 1 - this.#kills - this.#exitsTaken;
    this.#exitsTaken += exits;
    return exits;
  }

  output(): string {
    return this.#supervisor.output();
  }

  async whenReady(): Promise<void> {
    await until(() => answersOk(`${this.clientUrl}/health`), { timeoutMs: READY_MS, what: `${this.name}'s health` });
  }

  /** SIGKILL; resolves when it has been started again, which is no sooner than a second and `downMs` later. */
  async crash(downMs: Promise<unknown>): Promise<void> {
    this.#kills += 1;
    await this.#supervisor.crash(async () => {
      await downMs;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#supervisor.process?.kill(signal);
  }

  /** Sets its clock so many ms ahead of the machine's (less than 0: back): from now on, or from its next start on. */
  async setClock(ms: number, when: "now" | "nextStart"): Promise<void> {
    await writeFile(this.#clockFile, String(ms));
    if (when === "nextStart") return;
    const { process } = this.#supervisor;
    const seen = this.output().length;
    process?.kill("SIGUSR2");
    await until(async () => (this.output().slice(seen).includes("shifted-clock:") ? true : undefined), {
      timeoutMs: READY_MS,
      what: `${this.name}'s clock to move`,
    });
  }

  /** The body of its /health, whatever the status. Rejects where none comes in time. */
  async health(): Promise<string> {
    const answer = await fetch(`${this.clientUrl}/health`, { signal: AbortSignal.timeout(10_000) });
    return answer.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.stop("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #clockFile(): string {
    return join(this.#directory, "clock");
  }

  #launch(): Promise<RunningProcess> {
    const parameters = [
      ...["--import", WATCHDOG, "--import", CLOCK, MUSTER, "serve"],
      ...["--listen", new URL(this.publicUrl).host, "--client-listen", new URL(this.clientUrl).host],
      ...this.#flags,
    ];
    return this.place.start(process.execPath, parameters, { env: { MUSTER_TEST_CLOCK_FILE: this.#clockFile } });
  }
}
