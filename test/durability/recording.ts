/** Runs of lmdb-child.mjs under strace, one after the other in one directory, and what their disk may hold at any moment. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { Acknowledged } from "../contract/follower.ts";
import { startProcess } from "../support/processes.ts";
import type { Strace } from "../support/with-strace.ts";
import type { Fate } from "./disk.ts";
import { fateOf, writeAfterCut } from "./power-cut.ts";
import { type Call, type Moment, number, readTrace, STRACE_FORMAT, strings } from "./trace.ts";
import { FILE_CALLS, MAPPED, TracedFiles } from "./traced-files.ts";

const child = fileURLToPath(new URL("../contract/lmdb-child.mjs", import.meta.url));
const noSync = fileURLToPath(new URL("no-sync.mjs", import.meta.url));
const RUN_TIMEOUT_MS = 180_000;
/** Where the store is, below the modelled directory: its own name and the one above must be durable too. */
export const DISK = join("disk", "data");
const WRITES = new Set(["pwrite64", "writev", "ftruncate"]);
/** What LMDB writes of a meta page to commit. */
const META_BYTES = 128;
/** Calls after which the disk may hold something else than before. */
const CHANGES = new Set([
  "pwrite64",
  "write",
  "writev",
  "fsync",
  "fdatasync",
  "ftruncate",
  "rename",
  "unlink",
  "mkdir",
]);

export interface RecordingOptions {
  /** A build of src/, as privateBuild makes it. */
  readonly built: string;
  /** Transactions of each process, one after the other, before it kills itself. */
  readonly lives: readonly number[];
  /** Turns LMDB's syncing off. */
  readonly noSync?: boolean;
  /** Calls that fail, in strace's words. */
  readonly inject?: string;
}

/** A moment of a recording at which the power may be cut. */
export interface Cut {
  readonly life: number;
  readonly moment: number;
}

export class Recording {
  /** Whatever was acknowledged in the end. */
  readonly all = new Acknowledged();
  readonly #lives: readonly (readonly Moment[])[];
  readonly #path: string;

  private constructor(path: string, lives: readonly (readonly Moment[])[]) {
    this.#path = path;
    this.#lives = [...lives.slice(0, -1).map(endingInItsLastSync), ...lives.slice(-1)];
    for (const life of this.#lives) {
      this.all.note(toldBy(life));
    }
  }

  /** Runs the processes. What they leave on the real disk is of no interest, and is removed. */
  static async make({ strace, env }: Strace, options: RecordingOptions): Promise<Recording> {
    const path = await mkdtemp(join(tmpdir(), "muster-power-"));
    const lives: (readonly Moment[])[] = [];
    try {
      for (const [life, transactions] of options.lives.entries()) {
        const trace = join(path, `trace-${life}`);
        const run = [child, options.built, join(path, DISK), `life${life}`, "churn", `${transactions}`];
        const preload = options.noSync === true ? ["--import", noSync] : [];
        const node = [process.execPath, ...preload, ...run];
        // libuv would write through io_uring on some systems, which no trace of calls shows.
        const settings = { env: { ...env, UV_USE_IO_URING: "0" } };
        const calls = FILE_CALLS.map((name) => `?${name}`).join(",");
        const inject = options.inject === undefined ? [] : ["-e", `inject=${options.inject}`];
        const flags = [...STRACE_FORMAT, "-e", `trace=${calls}`, ...inject, "-o", trace];
        await using traced = await startProcess(strace, [...flags, "--", ...node], settings);
        const end = setTimeout(() => traced.kill("SIGKILL"), RUN_TIMEOUT_MS);
        const { signal } = await traced.ended;
        clearTimeout(end);
        expect(signal, traced.output().slice(-2000)).toBe("SIGKILL");
        lives.push(await readTrace(trace));
      }
      const recording = new Recording(path, lives);
      await recording.#mustBe(path);
      return recording;
    } finally {
      await rm(path, { recursive: true });
    }
  }

  /** How many syncs and writes failed. */
  get failures(): number {
    const failed = ({ half, call }: Moment) => half === "returned" && CHANGES.has(call.name) && call.result === -1;
    return this.#lives.flat().filter(failed).length;
  }

  /** All moments at which the power may be cut: those that change the disk or tell something, in order. */
  cuts(): readonly (Cut & { readonly isTold: boolean })[] {
    return this.#lives.flatMap((moments, life) =>
      moments.flatMap(({ call, half }, moment) => {
        const tells = isTold(call);
        return CHANGES.has(call.name) && !(tells && half === "returned") ? [{ life, moment, isTold: tells }] : [];
      }),
    );
  }

  /** Goes through the recording once; at each of the cuts (in order) it calls `look`. */
  async play(cuts: readonly Cut[], look: (at: Cut, now: Stopped) => Promise<void>): Promise<void> {
    let files = new TracedFiles(this.#path);
    const waiting = [...cuts];
    for (const [life, moments] of this.#lives.entries()) {
      files = new TracedFiles(this.#path, files.root);
      for (const [index, moment] of moments.entries()) {
        files.take(moment);
        for (; waiting[0]?.life === life && waiting[0].moment === index; waiting.shift()) {
          await look(waiting[0], this.#stop(files, waiting[0]));
        }
      }
      files.end();
    }
    expect(waiting).toEqual([]);
  }

  /** Whether the model, had there been no power cut, has the very bytes that are on the real disk. */
  async #mustBe(path: string): Promise<void> {
    let files = new TracedFiles(this.#path);
    for (const moments of this.#lives) {
      files = new TracedFiles(this.#path, files.root);
      for (const moment of moments) {
        files.take(moment);
      }
      files.end();
    }
    const model = join(path, "model");
    await writeAfterCut(files.root, model, fateOf("everything", Math.random));
    const [wanted, found] = [join(path, DISK), join(model, DISK)];
    expect((await readdir(found)).sort(), "the names that the trace tells").toEqual((await readdir(wanted)).sort());
    for (const name of (await readdir(wanted)).filter((file) => file !== MAPPED)) {
      const isSame = (await readFile(join(found, name))).equals(await readFile(join(wanted, name)));
      expect(isSame, `${name} is what the trace tells`).toBe(true);
    }
  }

  #stop(files: TracedFiles, { life, moment }: Cut): Stopped {
    return {
      acknowledged: () => {
        const acknowledged = new Acknowledged();
        for (const before of this.#lives.slice(0, life)) {
          acknowledged.note(toldBy(before));
        }
        acknowledged.note(toldBy((this.#lives[life] ?? []).slice(0, moment + 1)));
        return acknowledged;
      },
      write: (path, fate) => writeAfterCut(files.root, path, fate),
    };
  }
}

/** The recording at a cut. */
export interface Stopped {
  /** What was told up to there. */
  acknowledged(): Acknowledged;
  /** Writes what the disk may hold to a directory: below it DISK is the store's. */
  write(path: string, fate: Fate): Promise<void>;
}

/**
 * A process that is killed while it waits for its last commit's sync leaves that commit to be seen by the next one, and not
 * durable. Kills hardly ever fall into that time, so what this one did after it is forgotten: that the sync returned, and
 * what was told then. Not where it went on to write more.
 */
function endingInItsLastSync(moments: readonly Moment[]): readonly Moment[] {
  const last = moments.findLastIndex(({ half, call }) => half === "entered" && WRITES.has(call.name));
  const call = moments[last]?.call;
  return call?.name === "pwrite64" && number(call, -2) === META_BYTES ? moments.slice(0, last + 1) : moments;
}

function isTold(call: Call): boolean {
  return call.name === "write" && call.parameters.startsWith("1, ");
}

/** What the process had written to its parent. */
function toldBy(moments: readonly Moment[]): string {
  // A full pipe refuses a write, which is then tried again.
  const told = moments.filter(({ half, call }) => half === "entered" && isTold(call) && call.result !== -1);
  return Buffer.concat(told.flatMap(({ call }) => strings(call))).toString();
}
