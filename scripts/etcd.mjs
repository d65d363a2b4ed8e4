// Finds or fetches a real etcd for the tests, without root, and prints where it is, as one line of JSON:
//   {"etcd":"/…/etcd","etcdctl":"/…/etcdctl","version":"3.4.23"}
// In this order: MUSTER_TEST_ETCD and MUSTER_TEST_ETCDCTL, both on PATH, .cache/etcd, Debian's packages etcd-server and
// etcd-client (unpacked into .cache/etcd). Exits 1 with the reason where none of them works.
//
// Plain JavaScript, because Node 20 does not run TypeScript and this runs before anything is built.
import { execFile } from "node:child_process";
import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const FETCH_TIMEOUT_MS = 120_000;
const cache = fileURLToPath(new URL("../.cache", import.meta.url));
const unpacked = join(cache, "etcd");

/** @param {string} file */
async function isExecutable(file) {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} name */
async function onPath(name) {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const file = join(directory, name);
    if (directory !== "" && (await isExecutable(file))) {
      return file;
    }
  }
  return undefined;
}

function fromCache() {
  return { etcd: join(unpacked, "usr/bin/etcd"), etcdctl: join(unpacked, "usr/bin/etcdctl") };
}

/** The pair that is there already, if one is. */
async function present() {
  const { MUSTER_TEST_ETCD, MUSTER_TEST_ETCDCTL } = process.env;
  if (MUSTER_TEST_ETCD || MUSTER_TEST_ETCDCTL) {
    const pair = { etcd: MUSTER_TEST_ETCD ?? "", etcdctl: MUSTER_TEST_ETCDCTL ?? "" };
    if ((await isExecutable(pair.etcd)) && (await isExecutable(pair.etcdctl))) {
      return pair;
    }
    throw new Error(
      `set both MUSTER_TEST_ETCD and MUSTER_TEST_ETCDCTL to programs: they are "${pair.etcd}" and "${pair.etcdctl}"`,
    );
  }
  const etcd = await onPath("etcd");
  const etcdctl = await onPath("etcdctl");
  if (etcd !== undefined && etcdctl !== undefined) {
    return { etcd, etcdctl };
  }
  const cached = fromCache();
  return (await isExecutable(cached.etcd)) && (await isExecutable(cached.etcdctl)) ? cached : undefined;
}

/**
 * Downloads both packages into `directory`: with the machine's index, else (there is none, or it is out of date) with
 * one of our own, because a user who is not root may not write the machine's.
 * @param {string} directory
 */
async function download(directory) {
  const options = { cwd: directory, timeout: FETCH_TIMEOUT_MS };
  const packages = ["etcd-server", "etcd-client"];
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

/** Fetches into a folder of its own and renames it into place, so that several processes may do so at a time. */
async function fetch() {
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, "etcd-"));
  try {
    await download(directory);
    const root = join(directory, "root");
    for (const file of await readdir(directory)) {
      if (file.endsWith(".deb")) {
        await run("dpkg-deb", ["-x", join(directory, file), root]);
      }
    }
    try {
      await rename(root, unpacked);
    } catch (error) {
      // Another process was first; what it put there is as good.
      if ((await present()) === undefined) {
        throw error;
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** @param {string} etcd */
async function versionOf(etcd) {
  const { stdout } = await run(etcd, ["--version"]);
  const version = /etcd Version: (\S+)/.exec(stdout)?.[1];
  if (version === undefined) {
    throw new Error(`make "${etcd}" an etcd: its --version says ${JSON.stringify(stdout)}`);
  }
  return version;
}

try {
  if ((await present()) === undefined) {
    await fetch();
  }
  const pair = await present();
  if (pair === undefined) {
    throw new Error(`look into ${unpacked}: Debian's packages did not bring usr/bin/etcd and usr/bin/etcdctl`);
  }
  console.log(JSON.stringify({ ...pair, version: await versionOf(pair.etcd) }));
} catch (error) {
  console.error(`no etcd for the tests: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
