/** The real `bin/muster serve` on a disk that fails, and a record of what it acknowledged. */
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { type ProcessOptions, type RunningProcess, startProcess } from "../support/processes.ts";

const MUSTER = fileURLToPath(new URL("../../bin/muster", import.meta.url));
const READY_TIMEOUT_MS = 60_000;
/** A request without an answer for so long is an error. */
const ANSWER_TIMEOUT_MS = 30_000;

export interface ServeOptions extends ProcessOptions {
  readonly directory: string;
  /** A command that runs it: `nsenter …`, `strace …`. Its process must be, or become, the one that is run. */
  readonly by?: readonly string[];
}

/** What a request was answered. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A running service on ports that the system chose. */
export class ServedMuster implements AsyncDisposable {
  readonly publicUrl: string;
  readonly clientUrl: string;
  readonly process: RunningProcess;

  private constructor(process: RunningProcess, banner: string) {
    const url = (listener: string) => new RegExp(`${listener} listener .*(http://\\S+)`).exec(banner)?.[1] ?? "";
    this.process = process;
    this.publicUrl = url("public");
    this.clientUrl = url("client");
  }

  /** Starts it and waits for its banner. Rejects with what it wrote where it ends instead. */
  static async start(options: ServeOptions): Promise<ServedMuster> {
    const process = await launch(options);
    try {
      const [banner] = await process.waitForOutput(/ is ready\.[\s\S]*Ctrl-C/, READY_TIMEOUT_MS);
      return new ServedMuster(process, banner);
    } catch (error) {
      await process.stop("SIGKILL");
      throw error;
    }
  }

  get(url: string): Promise<Answer> {
    return request(url);
  }

  /** `/health` of the public listener and of the client listener. */
  health(): Promise<readonly Answer[]> {
    return Promise.all([request(`${this.publicUrl}/health`), request(`${this.clientUrl}/health`)]);
  }

  async kill(): Promise<void> {
    await this.process.stop("SIGKILL");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** Starts it where it is expected to refuse: gives what it wrote, and its exit code. */
export async function expectNoStart(
  options: ServeOptions,
): Promise<{ readonly output: string; readonly code: unknown }> {
  await using process = await launch(options);
  const { code } = await process.ended;
  return { output: process.output(), code };
}

function launch({ directory, by = [], ...options }: ServeOptions): Promise<RunningProcess> {
  const node = [process.execPath, MUSTER, "serve", "--data-dir", directory];
  const [command = "", ...parameters] = [...by, ...node, "--listen", "127.0.0.1:0", "--client-listen", "127.0.0.1:0"];
  return startProcess(command, parameters, options);
}

async function request(url: string, init: RequestInit = {}): Promise<Answer> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  return { status: answer.status, text: await answer.text() };
}

/** What was acknowledged, and what was refused. */
export class Ledger {
  /** Members by token, in order. */
  readonly tokens = new Map<string, string[]>();
  /** Values by key. */
  readonly keys = new Map<string, string>();
  readonly #refused = new Set<string>();
  #count = 0;

  /** Asks for a token, registers a member, and writes a key through the client listener. Answers in that order. */
  async write(muster: ServedMuster, bytes = 100): Promise<readonly Answer[]> {
    const fresh = await request(`${muster.publicUrl}/new?size=3`);
    if (fresh.status === 200) {
      this.tokens.set(new URL(fresh.text).pathname, []);
    }
    const member = await this.#register(muster);
    const key = `/v2/keys/key${this.#count++}`;
    const value = "v".repeat(bytes);
    const written = await request(muster.clientUrl + key, form("PUT", { value }));
    if (written.status === 201) {
      this.keys.set(key, value);
    } else {
      this.#refused.add(key);
    }
    return [fresh, ...member, written];
  }

  /** As it stands now. */
  copy(): Ledger {
    const copy = new Ledger();
    for (const [token, members] of this.tokens) {
      copy.tokens.set(token, [...members]);
    }
    for (const [key, value] of this.keys) {
      copy.keys.set(key, value);
    }
    return copy;
  }

  async #register(muster: ServedMuster): Promise<readonly Answer[]> {
    const token = [...this.tokens.keys()].findLast((name) => (this.tokens.get(name)?.length ?? 0) < 3);
    if (token === undefined) {
      return [];
    }
    const path = `${token}/${(++this.#count).toString(16)}`;
    const answer = await request(
      `${muster.publicUrl}${path}?prevExist=false`,
      form("PUT", { value: "n=http://h:2380" }),
    );
    if (answer.status === 201) {
      this.tokens.get(token)?.push(path);
    } else {
      this.#refused.add(path);
    }
    return [answer];
  }

  /** All that was acknowledged is there, nothing that was refused is. */
  async expectKept(muster: ServedMuster): Promise<void> {
    for (const [token, members] of this.tokens) {
      const { status, text } = await request(muster.publicUrl + token);
      expect(status, text).toBe(200);
      for (const member of members) {
        expect(text).toContain(`/${member.split("/").at(-1)}"`);
      }
    }
    for (const [key, value] of this.keys) {
      expect((await request(muster.clientUrl + key)).text).toContain(`"value":"${value}"`);
    }
    for (const path of this.#refused) {
      const base = path.startsWith("/v2/") ? muster.clientUrl : muster.publicUrl;
      expect((await request(base + path)).status, `${path} was refused`).toBe(404);
    }
  }
}

function form(method: string, fields: Readonly<Record<string, string>>): RequestInit {
  return { method, body: new URLSearchParams(fields) };
}
