/** What the figures were measured on, so that somebody else can tell whether theirs may be compared. */
import { execFile } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { EtcdBinaries } from "../peers/etcd-binaries.ts";
import { PROJECT } from "./project.ts";
import { shownSpread, spreadOf } from "./statistics.ts";

const run = promisify(execFile);

const SYNCS = 200;
const SYNC_BYTES = 4096;

/** Lines about the machine, the programs, and the disk that `directory` is on. */
export async function describeEnvironment(directory: string, etcd: EtcdBinaries | undefined): Promise<string[]> {
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return [
    `machine: ${availableParallelism()} cores of ${cpus()[0]?.model ?? "unknown"}, ${memory} GiB, Linux ${release()}, load ${(loadavg()[0] ?? 0).toFixed(2)} at the beginning`,
    `programs: Node.js ${process.versions.node}, etcd ${etcd?.version ?? "none"}, Muster at commit ${await commit()}`,
    `data directories: ${await fileSystem(directory)}; fdatasync of ${SYNC_BYTES / 1024} KiB: ${syncTimes(directory)} ms`,
  ];
}

async function commit(): Promise<string> {
  const git = async (...parameters: readonly string[]) => {
    const { stdout } = await run("git", parameters, { cwd: PROJECT });
    return stdout.trim();
  };
  try {
    const changed = (await git("status", "--porcelain", "--untracked-files=no", "--", "src")) !== "";
    return `${await git("rev-parse", "--short", "HEAD")}${changed ? " and changes to src/" : ""}`;
  } catch {
    // A release archive holds no history.
    return "unknown";
  }
}

async function fileSystem(directory: string): Promise<string> {
  try {
    const { stdout } = await run("findmnt", ["--noheadings", "--output", "FSTYPE,SOURCE", "--target", directory]);
    const [type = "unknown", source = ""] = stdout.trim().split(/\s+/);
    const warning = type === "tmpfs" ? " (IN MEMORY: nothing here is durable, choose another with --dir)" : "";
    return `${type} on ${source}${warning}`;
  } catch {
    // Not every system has findmnt.
    return "on an unknown file system";
  }
}

/** What one sync costs here: whatever waits for the disk cannot be answered sooner. */
function syncTimes(directory: string): string {
  const file = openSync(join(directory, "sync"), "w");
  const page = Buffer.alloc(SYNC_BYTES, 1);
  const times: number[] = [];
  for (let place = 0; place < SYNCS; place++) {
    const begun = performance.now();
    writeSync(file, page, 0, SYNC_BYTES, place * SYNC_BYTES);
    fdatasyncSync(file);
    times.push(performance.now() - begun);
  }
  closeSync(file);
  return shownSpread(spreadOf(times));
}
