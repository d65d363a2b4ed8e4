import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFailed } from "vitest";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { etcdEnvironment } from "./etcd-server.ts";
import { restartablePorts } from "./ports.ts";
import { startProcess } from "./processes.ts";
import { Supervisor } from "./supervisor.ts";
import { answersOk, until } from "./until.ts";

/** What a node (etcd 3.4) writes before it lets others know that it voted or took entries: see `crash`. */
const TOOK_PART = /cast MsgVote|became (pre-)?candidate|elected leader/;

/** Where a raft log's first entries are found, if it has any: its file is made with 64 MB of zeros. */
const LOG_BEGIN_BYTES = 65_536;

/** Where etcd's v3 discovery goes. */
export interface V3Discovery {
  readonly token: string;
  /** Such as `http://127.0.0.1:21234`. */
  readonly endpoint: string;
}

/** The v3 discovery of a token that /new gave as a URL. */
export function v3Discovery(url: string): V3Discovery {
  const { origin, pathname } = new URL(url);
  return { token: pathname.slice(1), endpoint: origin };
}

export interface EtcdNodeOptions {
  readonly name: string;
  /** The discovery URL, as `--discovery` takes it; for v3 discovery its parts. */
  readonly discovery: string | V3Discovery;
  /** Added to its command line. */
  readonly flags?: readonly string[];
  /** Start it again a second after it exits, as systemd would. */
  readonly supervised?: boolean;
  /** Print nothing when the test fails: the test tells what matters itself. */
  readonly quiet?: boolean;
}

/** A real etcd that finds its peers by v2 or v3 discovery, on ports and in a data directory of its own, which it keeps over restarts. */
export class EtcdNode implements AsyncDisposable {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly #directory: string;
  readonly #supervisor: Supervisor;

  private constructor(binaries: EtcdBinaries, place: Place, options: EtcdNodeOptions) {
    this.name = options.name;
    this.clientUrl = `http://127.0.0.1:${place.clientPort}`;
    this.peerUrl = `http://127.0.0.1:${place.peerPort}`;
    this.#directory = place.directory;
    const flags = [
      ...["--name", options.name, "--data-dir", this.#dataDirectory],
      ...discoveryFlags(options.discovery),
      ...(hasV2(binaries) ? ["--enable-v2=true"] : []),
      ...["--listen-client-urls", this.clientUrl, "--advertise-client-urls", this.clientUrl],
      ...["--listen-peer-urls", this.peerUrl, "--initial-advertise-peer-urls", this.peerUrl],
      ...["--logger", "zap", "--log-outputs", "stderr"],
      ...(options.flags ?? []),
    ];
    this.#supervisor = new Supervisor({
      launch: () => startProcess(binaries.etcd, flags, { env: etcdEnvironment() }),
      restarts: options.supervised ?? false,
    });
  }

  /** Starts one, within a test, which prints what it wrote if it fails. It is then booting: see `whenHealthy`. */
  static async start(binaries: EtcdBinaries, options: EtcdNodeOptions): Promise<EtcdNode> {
    const directory = await mkdtemp(join(tmpdir(), `muster-e2e-${options.name}-`));
    const [clientPort = 0, peerPort = 0] = await restartablePorts(2);
    const node = new EtcdNode(binaries, { directory, clientPort, peerPort }, options);
    if (options.quiet !== true) {
      onTestFailed(() => console.error(`--- ${node.name} (${node.clientUrl}):\n${node.output()}`));
    }
    await node.restart();
    return node;
  }

  /** How often it was started, by us or its supervisor. */
  get starts(): number {
    return this.#supervisor.starts;
  }

  /** Resolves when the process that runs now has ended. */
  async whenEnded(): Promise<void> {
    await this.#supervisor.process?.ended;
  }

  /** Everything that it has written, over all its runs. */
  output(): string {
    return this.#supervisor.output();
  }

  /** Waits until the process that runs now has written something. */
  async waitForOutput(pattern: RegExp, timeoutMs: number): Promise<void> {
    const { process } = this.#supervisor;
    if (process === undefined) {
      throw new Error(`start ${this.name} first: it does not run`);
    }
    await process.waitForOutput(pattern, timeoutMs);
  }

  /** Waits until it serves clients: a cluster has formed, it is in it, and there is a leader. */
  async whenHealthy(timeoutMs: number): Promise<void> {
    await until(() => answersOk(`${this.clientUrl}/health`), { timeoutMs, what: `${this.name}'s health` });
  }

  /** Starts it again after a kill, from its data directory. */
  async restart(): Promise<void> {
    await this.#supervisor.start();
  }

  /**
   * Kills the process behind its supervisor's back and waits until that has started it again. With `wipe`, it comes back
   * without its data, unless it had taken part in its cluster: a member that lost its raft log after it voted or
   * acknowledged entries is to be replaced, and no bootstrap any more. It always comes back without data that etcd itself
   * never comes back from. Gives whether the data went.
   */
  async crash({ wipe = false }: { readonly wipe?: boolean } = {}): Promise<{ readonly wiped: boolean }> {
    let wiped = false;
    await this.#supervisor.crash(async () => {
      // It has ended, so this is all that it ever wrote.
      wiped = (wipe && !TOOK_PART.test(this.output())) || (await this.#logIsEmpty());
      if (wiped) {
        await rm(this.#dataDirectory, { recursive: true, force: true });
      }
    });
    return { wiped };
  }

  /** Ends it by a signal and waits until it is gone; its data stays. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    await this.#supervisor.stop(signal);
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.kill("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * Whether it was killed in the few ms between the making of its raft log and the members' first entries in it: an
   * etcd (3.4) that finds such a log restarts as a member of nothing, for good, and asks no discovery.
   */
  async #logIsEmpty(): Promise<boolean> {
    const directory = join(this.#dataDirectory, "member", "wal");
    // The directory is made together with the log.
    const names = await readdir(directory).catch(() => []);
    const first = names.find((name) => name.endsWith(".wal"));
    if (first === undefined) {
      return false;
    }
    await using file = await open(join(directory, first));
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(LOG_BEGIN_BYTES) });
    return !buffer.subarray(0, bytesRead).includes(this.peerUrl);
  }

  get #dataDirectory(): string {
    return join(this.#directory, "data");
  }
}

function discoveryFlags(discovery: string | V3Discovery): readonly string[] {
  if (typeof discovery === "string") return ["--discovery", discovery];
  return ["--discovery-token", discovery.token, "--discovery-endpoints", discovery.endpoint];
}

/** etcd 3.6 dropped the v2 API, and the flag. */
function hasV2({ version }: EtcdBinaries): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < 3 || (major === 3 && minor < 6);
}

interface Place {
  readonly directory: string;
  readonly clientPort: number;
  readonly peerPort: number;
}
