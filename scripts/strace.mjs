// Finds or fetches strace for the tests, without root, and prints where it is, as one line of JSON:
//   {"strace":"/…/strace","libraries":"/…/lib/x86_64-linux-gnu"}
// `libraries` is for LD_LIBRARY_PATH, and empty where the machine's own will do. In this order: MUSTER_TEST_STRACE, PATH,
// .cache/strace, Debian's package (unpacked into .cache/strace). Exits 1 with the reason where none of them works.
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CACHE, isExecutable, onPath, unpackPackages } from "./debian-packages.mjs";

const run = promisify(execFile);
const unpacked = join(CACHE, "strace");

/** Debian's, with the library that it needs beside libc. */
async function fromCache() {
  const strace = join(unpacked, "usr/bin/strace");
  if (!(await isExecutable(strace))) {
    return undefined;
  }
  const above = join(unpacked, "usr/lib");
  const folder = (await readdir(above)).find((name) => name.includes("-linux-"));
  return { strace, libraries: folder === undefined ? "" : join(above, folder) };
}

/** The one that is there already, if one is. */
async function present() {
  const own = process.env.MUSTER_TEST_STRACE;
  if (own) {
    return { strace: own, libraries: "" };
  }
  const strace = await onPath("strace");
  return strace === undefined ? fromCache() : { strace, libraries: "" };
}

try {
  if ((await present()) === undefined) {
    await unpackPackages(["strace", "libunwind8"], unpacked, async () => (await fromCache()) !== undefined);
  }
  const found = await present();
  if (found === undefined) {
    throw new Error(`look into ${unpacked}: Debian's package did not bring usr/bin/strace`);
  }
  const { strace, libraries } = found;
  await run(strace, ["--version"], { env: { ...process.env, ...(libraries && { LD_LIBRARY_PATH: libraries }) } });
  console.log(JSON.stringify(found));
} catch (error) {
  console.error(`no strace for the tests: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
