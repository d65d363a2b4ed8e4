// Programs that tests need: found on PATH, or brought by Debian's packages, without root. For scripts/etcd.mjs and
// scripts/strace.mjs. Plain JavaScript, because Node 20 does not run TypeScript and this runs before anything is built.
import { execFile } from "node:child_process";
import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const FETCH_TIMEOUT_MS = 120_000;

/** Where what was fetched is kept. */
export const CACHE = fileURLToPath(new URL("../.cache", import.meta.url));

/** @param {string} file */
export async function isExecutable(file) {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The program's file, or undefined where PATH has none.
 * @param {string} name
 */
export async function onPath(name) {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const file = join(directory, name);
    if (directory !== "" && (await isExecutable(file))) {
      return file;
    }
  }
  return undefined;
}

/**
 * Downloads packages into `directory`: with the machine's index, else (there is none, or it is out of date) with one of
 * our own, because a user who is not root may not write the machine's.
 * @param {readonly string[]} packages
 * @param {string} directory
 */
async function download(packages, directory) {
  const options = { cwd: directory, timeout: FETCH_TIMEOUT_MS };
  try {
    await run("apt-get", ["download", ...packages], options);
  } catch {
    const state = join(directory, "state");
    const archives = join(directory, "archives");
    await mkdir(join(state, "lists/partial"), { recursive: true });
    await mkdir(join(archives, "archives/partial"), { recursive: true });
    const own = [
      ["-o", `Dir::State=${state}`],
      ["-o", "Dir::State::status=/var/lib/dpkg/status"],
      ["-o", `Dir::Cache=${archives}`],
    ].flat();
    await run("apt-get", [...own, "update"], options);
    await run("apt-get", [...own, "download", ...packages], options);
  }
}

/**
 * Fetches packages into a folder of its own and renames it to `target`, so that several processes may do so at a time.
 * @param {readonly string[]} packages
 * @param {string} target
 * @param {() => Promise<boolean>} isThere whether another process, that was first, has put there what is wanted
 */
export async function unpackPackages(packages, target, isThere) {
  await mkdir(dirname(target), { recursive: true });
  const directory = await mkdtemp(join(dirname(target), `${basename(target)}-`));
  try {
    await download(packages, directory);
    const root = join(directory, "root");
    for (const file of await readdir(directory)) {
      if (file.endsWith(".deb")) {
        await run("dpkg-deb", ["-x", join(directory, file), root]);
      }
    }
    try {
      await rename(root, target);
    } catch (error) {
      if (!(await isThere())) {
        throw error;
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
