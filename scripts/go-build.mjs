// Builds programs for the tests from a Go module that stands in the project, once: what was built is kept in .cache. For
// scripts/etcd-go.mjs, scripts/go-client.mjs and scripts/h2spec.mjs.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { isExecutable } from "./debian-packages.mjs";
import { goAtLeast, goEnvironment, NO_GO, NoGo } from "./go.mjs";

const run = promisify(execFile);
const BUILD_TIMEOUT_MS = 15 * 60_000;
const HASH_DIGITS = 12;

/**
 * @typedef Programs
 * @property {string} module folder of the go.mod
 * @property {string} directory where the programs are kept; named for what they are made of
 * @property {Readonly<Record<string, string>>} programs the package of each, by its name
 */

/**
 * Sees to it that the programs are in their directory. Throws NoGo where they must be built and no Go is new enough.
 * @param {Programs} options
 */
export async function buildOnce({ module, directory, programs }) {
  const names = Object.keys(programs);
  if (await areThere(directory, names)) {
    return;
  }
  const wanted = /^go (\S+)$/m.exec(await readFile(join(module, "go.mod"), "utf8"))?.[1];
  if (wanted === undefined) {
    throw new Error(`name a Go version in ${join(module, "go.mod")}: there is none`);
  }
  const go = await goAtLeast(wanted);
  await mkdir(dirname(directory), { recursive: true });
  // Into a directory of its own beside the one that is meant, so that one that is there is whole.
  const fresh = await mkdtemp(`${directory}-`);
  try {
    for (const [name, path] of Object.entries(programs)) {
      const flags = ["build", "-trimpath", "-ldflags=-s -w", "-o", join(fresh, name), path];
      await run(go, flags, { cwd: module, env: goEnvironment, timeout: BUILD_TIMEOUT_MS });
    }
    await rename(fresh, directory);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    // Somebody who built at the same time was first.
    if (!(await areThere(directory, names))) {
      throw error;
    }
  }
}

/**
 * @param {string} directory
 * @param {readonly string[]} names
 */
async function areThere(directory, names) {
  const programs = names.map((name) => isExecutable(join(directory, name)));
  return (await Promise.all(programs)).every(Boolean);
}

/**
 * A short name for what programs are made of.
 * @param {string} module
 * @param {readonly string[]} files of the module
 */
export async function hashOf(module, files) {
  const sources = await Promise.all(files.map((name) => readFile(join(module, name), "utf8")));
  return createHash("sha256").update(sources.join("\0")).digest("hex").slice(0, HASH_DIGITS);
}

/**
 * Runs a script: prints where its programs are, or says why there are none.
 * @param {string} what as in "no Go client: …"
 * @param {() => Promise<string>} find
 */
export async function printWhere(what, find) {
  try {
    console.log(await find());
  } catch (error) {
    console.error(`no ${what}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = error instanceof NoGo ? NO_GO : 1;
  }
}
