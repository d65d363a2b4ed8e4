import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { etcdEnvironment } from "./etcd-server.ts";

/** A shell that runs command after command, as a person's does, and whatever they leave in the background with it. */
export class ShellSession {
  readonly #shell: ChildProcessWithoutNullStreams;
  #output = "";
  #commands = 0;
  #onOutput: () => void = () => {};

  constructor(options: { readonly directory: string; readonly env: Readonly<Record<string, string>> }) {
    // A process group of its own, so that stopping it ends what it left in the background.
    this.#shell = spawn("bash", [], {
      cwd: options.directory,
      env: { ...process.env, ...etcdEnvironment(), ...options.env },
      detached: true,
    });
    for (const stream of [this.#shell.stdout, this.#shell.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
        this.#onOutput();
      });
    }
  }

  /** What a command wrote by the time it was over, to stdout and stderr. Rejects when it takes too long. */
  run(command: string, timeoutMs: number): Promise<string> {
    this.#commands += 1;
    const over = `--- command ${this.#commands} is over ---\n`;
    this.#output = "";
    const done = new Promise<string>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`waited ${timeoutMs} ms in vain for "${command}"; it wrote:\n${this.#output}`)),
        timeoutMs,
      );
      this.#onOutput = () => {
        const end = this.#output.indexOf(over);
        if (end >= 0) {
          clearTimeout(timer);
          resolve(this.#output.slice(0, end));
        }
      };
    });
    this.#shell.stdin.write(`${command}\nprintf '\\n%s\\n' '${over.trim()}'\n`);
    return done;
  }

  /** Ends the shell and everything that it started. */
  async stop(): Promise<void> {
    const { pid, exitCode } = this.#shell;
    const closed = once(this.#shell, "close");
    if (pid !== undefined && exitCode === null) {
      process.kill(-pid, "SIGKILL");
      await closed;
    }
  }
}
