/** Command lines of a real etcdctl in v2, played on one server after the other, so that what they write can be compared. */
import { execFile } from "node:child_process";
import { z } from "zod";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { etcdEnvironment } from "./etcd-server.ts";
import { type RunningProcess, startProcess } from "./processes.ts";
import { until } from "./until.ts";

const TIMEOUT_MS = 60_000;
const PART_WAIT_MS = 60_000;
/** A command that is to end by itself and has not is ended after so long: some do not end on etcd either. */
const ENDED_AFTER_MS = 20_000;
/** An index that no session comes to, for conditions that are not to hold. */
export const NO_INDEX = "999999";
const storeStats = z.object({ watchers: z.number() });

/** What one command line did. Indices and what is new in every run stand as names. */
export interface Outcome {
  readonly command: string;
  readonly code: number | null;
  readonly output: string;
}

/** A command line and how it is played. In it, `{S+3}` is the index three after that at the start of the session. */
export interface Step {
  readonly run: readonly string[];
  /** Run once the server has the first one's wait. */
  readonly meanwhile?: readonly string[];
  /** It does not end by itself: when it has written this it is interrupted, as by a person. */
  readonly until?: RegExp;
}

export class EtcdctlSession {
  readonly #binaries: EtcdBinaries;
  readonly #url: string;
  readonly #startIndex: number;

  private constructor(binaries: EtcdBinaries, url: string, startIndex: number) {
    this.#binaries = binaries;
    this.#url = url;
    this.#startIndex = startIndex;
  }

  /** Begins on a server that nobody else writes to. */
  static async start(binaries: EtcdBinaries, url: string): Promise<EtcdctlSession> {
    const answer = await fetch(`${url}/v2/keys/`);
    return new EtcdctlSession(binaries, url, Number(answer.headers.get("x-etcd-index")));
  }

  /** Plays the steps in order. */
  async play(steps: readonly Step[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const step of steps) outcomes.push(...(await this.#step(step)));
    return outcomes;
  }

  /** Runs one command line to its end, as it stands; stdout comes before stderr. */
  run(line: readonly string[]): Promise<Outcome> {
    const command = line.join(" ");
    return new Promise((resolve) => {
      const child = execFile(this.#binaries.etcdctl, this.#flags(line), this.#options(), (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ command, code, output: this.#named(stdout + stderr) });
      });
      // Where a value is missing it would wait for one to be typed.
      child.stdin?.end();
    });
  }

  async #step({ run, meanwhile, until: written }: Step): Promise<readonly Outcome[]> {
    if (meanwhile === undefined && written === undefined) return [await this.run(run)];
    const outcomes: Outcome[] = [];
    if (meanwhile !== undefined) await this.#untilWaits(false);
    await using child = await this.#launch(run);
    if (meanwhile !== undefined) {
      await this.#untilWaits(true);
      outcomes.push(await this.run(meanwhile));
    }
    if (written !== undefined) {
      await child.waitForOutput(written, PART_WAIT_MS);
      child.kill("SIGINT");
    }
    const killer = setTimeout(() => child.kill("SIGKILL"), ENDED_AFTER_MS);
    const { code } = await child.ended;
    clearTimeout(killer);
    return [...outcomes, { command: run.join(" "), code, output: this.#named(child.output()) }];
  }

  /** Waits until somebody waits for an event, or nobody any more. */
  async #untilWaits(expected: boolean): Promise<void> {
    const asExpected = async () => {
      const answer = await fetch(`${this.#url}/v2/stats/store`);
      return storeStats.parse(await answer.json()).watchers > 0 === expected ? true : undefined;
    };
    await until(asExpected, { timeoutMs: PART_WAIT_MS, what: expected ? "a wait to begin" : "the last wait to end" });
  }

  #launch(line: readonly string[]): Promise<RunningProcess> {
    return startProcess(this.#binaries.etcdctl, this.#flags(line), { env: this.#environment() });
  }

  #flags(line: readonly string[]): string[] {
    const indexed = line.map((part) =>
      part.replace(/\{S\+(\d+)\}/g, (_whole, count: string) => String(this.#startIndex + Number(count))),
    );
    return ["--endpoints", this.#url, ...indexed];
  }

  #options() {
    return { timeout: TIMEOUT_MS, env: { ...process.env, ...this.#environment() } };
  }

  #environment(): Readonly<Record<string, string>> {
    return { ...etcdEnvironment(), ETCDCTL_API: "2" };
  }

  /** Indices by their distance from the start, times left in hundreds of seconds (one may just have passed), and URLs. */
  #named(output: string): string {
    const index = (shown: string) => (shown === NO_INDEX ? shown : `S+${Number(shown) - this.#startIndex}`);
    return output
      .replaceAll(this.#url, "<url>")
      .replace(/(Index"?: ?)(\d+)/g, (_whole, name: string, shown: string) => `${name}${index(shown)}`)
      .replace(/\[(\d+)\]/g, (_whole, shown: string) => `[${index(shown)}]`)
      .replace(/\[(\d+) != (\d+)\]/g, (_whole, given: string, found: string) => `[${index(given)} != ${index(found)}]`)
      .replace(/\b\d{20}\b/g, (shown) => `<in order ${index(shown)}>`)
      .replace(/("ttl":|TTL: |Ttl: )(\d+)/g, (_whole, name, ttl) => `${name}${Math.ceil(Number(ttl) / 100) * 100}`)
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>");
  }
}
