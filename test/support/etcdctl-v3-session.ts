/** Command lines of a real etcdctl in v3, played on one server after the other, so that what they write can be compared. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { etcdEnvironment } from "./etcd-server.ts";
import { until } from "./until.ts";

const STEP_WAIT_MS = 60_000;

/** What one command line did. Revisions count from the start; what is new in every run stands as names. */
export interface V3Outcome {
  readonly command: string;
  readonly code: number | null;
  readonly output: string;
}

/** A command line and how it is played. In it, `{S+3}` is the revision three after that at the start of the session. */
export interface V3Step {
  readonly run: readonly string[];
  /** What is typed into it. */
  readonly stdin?: string;
  /** It does not end by itself: when it has written this it is interrupted, as by a person. */
  readonly until?: RegExp;
  /** Run when it has written `begun`, or has begun. */
  readonly meanwhile?: readonly (readonly string[])[];
  readonly begun?: RegExp;
}

export class EtcdctlV3Session {
  readonly #binaries: EtcdBinaries;
  readonly #address: string;
  #startRevision = 0;
  /** Leases by the names that they were given in the order in which they were seen. */
  readonly #leases: string[] = [];

  private constructor(binaries: EtcdBinaries, address: string) {
    this.#binaries = binaries;
    this.#address = address;
  }

  /** Begins on a server that nobody else writes to; `address` as `127.0.0.1:2379`. */
  static async start(binaries: EtcdBinaries, address: string): Promise<EtcdctlV3Session> {
    const session = new EtcdctlV3Session(binaries, address);
    const { output } = await session.#play({ run: ["get", "none", "-w", "json"] });
    session.#startRevision = Number(/"revision":(\d+)/.exec(output)?.[1]);
    return session;
  }

  /** Plays the steps in order. */
  async play(steps: readonly V3Step[]): Promise<readonly V3Outcome[]> {
    const outcomes: V3Outcome[] = [];
    for (const step of steps) outcomes.push(await this.run(step));
    return outcomes;
  }

  async run(step: V3Step): Promise<V3Outcome> {
    const { code, output } = await this.#play(step);
    return { command: step.run.join(" "), code, output: this.#named(output) };
  }

  /** Runs one command line, and gives what it wrote as it stands. */
  raw(...line: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    return this.#play({ run: line });
  }

  async #play({ run, stdin, until: written, meanwhile = [], begun }: V3Step) {
    const child = this.#launch(run);
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    const ended = once(child, "close");
    const killer = setTimeout(() => child.kill("SIGKILL"), STEP_WAIT_MS * 2);
    const whenWritten = (pattern: RegExp) =>
      until(async () => (pattern.test(output) ? true : undefined), { timeoutMs: STEP_WAIT_MS, what: `${pattern}` });
    try {
      if (stdin !== undefined) child.stdin.write(stdin);
      if (written === undefined) child.stdin.end();
      if (begun !== undefined) await whenWritten(begun);
      for (const line of meanwhile) await this.#play({ run: line });
      if (written !== undefined) {
        await whenWritten(written);
        child.kill("SIGINT");
      }
      const [code] = await ended;
      return { code: typeof code === "number" ? code : null, output: output + wordsOf(errors) };
    } finally {
      clearTimeout(killer);
      child.kill("SIGKILL");
    }
  }

  #launch(line: readonly string[]): ChildProcessWithoutNullStreams {
    const flags = line.map((part) =>
      part
        .replace(/\{S\+(\d+)\}/g, (_whole, count: string) => String(this.#startRevision + Number(count)))
        .replace(/\{lease (\d+)\}/g, (_whole, place: string) => this.#leases[Number(place)] ?? ""),
    );
    const isOld = this.#binaries.version.startsWith("3.4.");
    const env = { ...process.env, ...etcdEnvironment(), ...(isOld ? { ETCDCTL_API: "3" } : {}) };
    return spawn(this.#binaries.etcdctl, ["--endpoints", this.#address, ...flags], { env });
  }

  #named(output: string): string {
    for (const [id = ""] of output.matchAll(/\b[0-9a-f]{16}\b(?=.*(granted|remaining|revoked|keepalived))/g)) {
      if (!this.#leases.includes(id)) this.#leases.push(id);
    }
    let named = output.replaceAll(this.#address, "<address>");
    for (const [place, id] of this.#leases.entries()) {
      named = named.replaceAll(id, `<lease ${place}>`).replaceAll(`${BigInt(`0x${id}`)}`, `<lease ${place}>`);
    }
    return named
      .replace(
        /("|\b)(revision|create_revision|mod_revision|Revision|CreateRevision|ModRevision)("? ?: ?)(\d+)/g,
        (...[, open, name, colon, shown]) =>
          `${open}${name}${colon}${Number(shown) === 0 ? 0 : `S+${Number(shown) - this.#startRevision}`}`,
      )
      .replace(/("?(?:cluster_id|member_id|ClusterID|MemberID|raft_term|RaftTerm)"? ?: ?)\d+/g, "$1<id>")
      .replace(
        /compacted revision (\d+)/g,
        (_whole, shown) => `compacted revision S+${Number(shown) - this.#startRevision}`,
      )
      .replace(/(remaining\()(\d+)/g, (_whole, open, ttl) => `${open}${Math.ceil(Number(ttl) / 100) * 100}`)
      .replace(/("ttl":|"TTL" : )(\d+)/g, (_whole, open, ttl) => `${open}${Math.ceil(Number(ttl) / 100) * 100}`)
      .replace(/took = [\d.µmns]+/g, "took = <time>")
      .replace(/\/[0-9a-f]{14,16}\b/g, "/<lease>")
      .replace(/, \d{6,10}(, \S+)?$/gm, ", <hash>");
  }
}

/** What a person reads of what it writes to stderr: its log of retries is about gRPC, and of the client's own making. */
function wordsOf(errors: string): string {
  return errors
    .split("\n")
    .filter((line) => !line.startsWith('{"level"'))
    .join("\n");
}
