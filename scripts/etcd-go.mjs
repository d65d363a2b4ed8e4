// Builds a newer real etcd for the tests than Debian has, from its published Go modules, and prints where it is, as one
// line of JSON:
//   node scripts/etcd-go.mjs 3.7     {"etcd":"/…/etcd","etcdctl":"/…/etcdctl","version":"3.7.3"}
// What is built stands in scripts/etcd-go/<line>/go.mod; the programs are kept in .cache/etcd-go/<version>. A first build
// takes a minute on two cores. Exits 3 where there is no Go that is new enough, 1 where a build fails, with the reason.
//
// Plain JavaScript, because Node 20 does not run TypeScript and this runs before anything is built.
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CACHE } from "./debian-packages.mjs";
import { buildOnce, printWhere } from "./go-build.mjs";

const LINES = ["3.6", "3.7"];
const PROGRAMS = { etcd: "go.etcd.io/etcd/server/v3", etcdctl: "go.etcd.io/etcd/etcdctl/v3" };

/** @param {string} module */
async function versionOf(module) {
  const file = await readFile(join(module, "go.mod"), "utf8");
  const version = new RegExp(`^\\s*${PROGRAMS.etcd} v(\\S+)`, "m").exec(file.slice(file.indexOf("\nrequire")))?.[1];
  if (version === undefined) {
    throw new Error(`name ${PROGRAMS.etcd} in ${join(module, "go.mod")}: it is missing`);
  }
  return version;
}

await printWhere("etcd from Go modules", async () => {
  const line = process.argv[2] ?? "";
  if (!LINES.includes(line)) {
    throw new Error(`say which etcd: node ${basename(process.argv[1] ?? "")} ${LINES.join("|")}`);
  }
  const module = fileURLToPath(new URL(`etcd-go/${line}`, import.meta.url));
  const version = await versionOf(module);
  const directory = join(CACHE, "etcd-go", version);
  await buildOnce({ module, directory, programs: PROGRAMS });
  return JSON.stringify({ etcd: join(directory, "etcd"), etcdctl: join(directory, "etcdctl"), version });
});
