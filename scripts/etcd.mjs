// Finds or fetches a real etcd for the tests, without root, and prints where it is, as one line of JSON:
//   {"etcd":"/…/etcd","etcdctl":"/…/etcdctl","version":"3.4.23"}
// In this order: MUSTER_TEST_ETCD and MUSTER_TEST_ETCDCTL, both on PATH, .cache/etcd, Debian's packages etcd-server and
// etcd-client (unpacked into .cache/etcd). Exits 1 with the reason where none of them works.
//
// Plain JavaScript, because Node 20 does not run TypeScript and this runs before anything is built.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { CACHE, isExecutable, onPath, unpackPackages } from "./debian-packages.mjs";

const run = promisify(execFile);
const unpacked = join(CACHE, "etcd");

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
    await unpackPackages(["etcd-server", "etcd-client"], unpacked, async () => (await present()) !== undefined);
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
