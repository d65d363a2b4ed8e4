// Builds a newer real etcd for the tests than Debian has, from its published Go modules, and prints where it is, as one
// line of JSON:
//   node scripts/etcd-go.mjs 3.7     {"etcd":"/…/etcd","etcdctl":"/…/etcdctl","version":"3.7.3"}
// What is built stands in scripts/etcd-go/<line>/go.mod; the programs are kept in .cache/etcd-go/<version>. A first build
// takes a minute on two cores. Exits 3 where there is no Go that is new enough, 1 where a build fails, with the reason.
//
// Plain JavaScript, because Node 20 does not run TypeScript and this runs before anything is built.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CACHE, isExecutable } from "./debian-packages.mjs";
import { goAtLeast, goEnvironment, NO_GO, NoGo } from "./go.mjs";

const run = promisify(execFile);
const BUILD_TIMEOUT_MS = 15 * 60_000;

const LINES = ["3.6", "3.7"];
const PROGRAMS = { etcd: "go.etcd.io/etcd/server/v3", etcdctl: "go.etcd.io/etcd/etcdctl/v3" };

/** @param {string} directory */
async function readModule(directory) {
  const module = await readFile(join(directory, "go.mod"), "utf8");
  const go = /^go (\S+)$/m.exec(module)?.[1];
  const version = new RegExp(`^\\s*${PROGRAMS.etcd} v(\\S+)`, "m").exec(module.slice(module.indexOf("\nrequire")))?.[1];
  if (go === undefined || version === undefined) {
    throw new Error(`name a Go version and ${PROGRAMS.etcd} in ${join(directory, "go.mod")}: one is missing`);
  }
  return { go, version };
}

/**
 * Builds into a directory of its own beside the one that is meant, so that one that is there is whole.
 * @param {{ go: string, module: string, directory: string }} options
 */
async function build({ go, module, directory }) {
  await mkdir(join(directory, ".."), { recursive: true });
  const fresh = await mkdtemp(`${directory}-`);
  try {
    for (const [name, path] of Object.entries(PROGRAMS)) {
      const target = join(fresh, name);
      await run(go, ["build", "-trimpath", "-ldflags=-s -w", "-o", target, path], {
        cwd: module,
        env: goEnvironment,
        timeout: BUILD_TIMEOUT_MS,
      });
    }
    await rename(fresh, directory);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    // Somebody who built at the same time was first.
    if (!(await isBuilt(directory))) {
      throw error;
    }
  }
}

/** @param {string} directory */
async function isBuilt(directory) {
  const programs = Object.keys(PROGRAMS).map((name) => isExecutable(join(directory, name)));
  return (await Promise.all(programs)).every(Boolean);
}

try {
  const line = process.argv[2] ?? "";
  if (!LINES.includes(line)) {
    throw new Error(`say which etcd: node ${basename(process.argv[1] ?? "")} ${LINES.join("|")}`);
  }
  const module = fileURLToPath(new URL(`etcd-go/${line}`, import.meta.url));
  const { go: wanted, version } = await readModule(module);
  const directory = join(CACHE, "etcd-go", version);
  if (!(await isBuilt(directory))) {
    await build({ go: await goAtLeast(wanted), module, directory });
  }
  console.log(JSON.stringify({ etcd: join(directory, "etcd"), etcdctl: join(directory, "etcdctl"), version }));
} catch (error) {
  console.error(`no etcd from Go modules: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof NoGo ? NO_GO : 1;
}
