/** A small disk of one's own: a tmpfs in a mount namespace of its own, which needs no root where users may have such. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type RunningProcess, startProcess } from "../support/processes.ts";

const run = promisify(execFile);
const FILLER_PIECE_BYTES = 65_536;
const SMALLEST_PIECE_BYTES = 1;

/** Why there can be none on this machine, or undefined. */
export async function whyNoMount(): Promise<string | undefined> {
  try {
    await using _disk = await SmallDisk.mount(1);
    return undefined;
  } catch {
    return "this machine lets nobody mount in a namespace of their own (unshare, nsenter)";
  }
}

export class SmallDisk implements AsyncDisposable {
  /** Its path within the namespace. */
  readonly path: string;
  readonly #holder: RunningProcess;

  private constructor(path: string, holder: RunningProcess) {
    this.path = path;
    this.#holder = holder;
  }

  static async mount(mebibytes: number): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), "muster-disk-"));
    const script = 'mount -t tmpfs -o "size=$1m" tmpfs "$0" && echo mounted && exec sleep 100000';
    const holder = await startProcess("unshare", ["-rm", "sh", "-c", script, path, `${mebibytes}`]);
    const disk = new SmallDisk(path, holder);
    try {
      await holder.waitForOutput(/^mounted$/m);
      return disk;
    } catch (error) {
      await disk[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The command that runs another one where the disk is mounted. */
  get inside(): readonly string[] {
    return ["nsenter", "-t", `${this.#holder.pid}`, "-m", "-U", "--preserve-credentials"];
  }

  /** Fills it to the last byte. */
  async fill(): Promise<void> {
    for (let size = FILLER_PIECE_BYTES; size >= SMALLEST_PIECE_BYTES; ) {
      try {
        await writeFile(this.#filler, Buffer.alloc(size), { flag: "a" });
      } catch {
        size = Math.floor(size / 2);
      }
    }
  }

  /** Gives back some bytes of what `fill` took. */
  async freeSome(bytes: number): Promise<void> {
    const { size } = await stat(this.#filler);
    await truncate(this.#filler, size - bytes);
  }

  /** What is in one of its directories. */
  names(directory: string): Promise<readonly string[]> {
    return readdir(this.#outside(directory));
  }

  /** Removes one of its files. */
  async remove(name: string): Promise<void> {
    await rm(this.#outside(name));
  }

  /** Gives back all that `fill` took. */
  async free(): Promise<void> {
    await rm(this.#filler);
  }

  /** Mounts it anew so that nobody may write, or so that everybody may. Nobody may be writing it now. */
  async remount(mode: "ro" | "rw"): Promise<void> {
    const [command = "", ...parameters] = [...this.inside, "mount", "-o", `remount,bind,${mode}`, this.path];
    await run(command, parameters);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stop("SIGKILL");
    await rm(this.path, { recursive: true, force: true });
  }

  get #filler(): string {
    return this.#outside("filler");
  }

  #outside(name: string): string {
    return join(`/proc/${this.#holder.pid}/root`, this.path, name);
  }
}
