/**
 * `npm run bench [-- NAME… --quick --dir DIRECTORY]`: measures the figures that are named, or all of them, side by side
 * with their peers, and prints them as Markdown. docs/performance.md says how to read them.
 */
import { parseArgs } from "node:util";
import { enginePuts } from "./figures/engine-puts.ts";
import { getToken } from "./figures/get-token.ts";
import { haCalls } from "./figures/ha-calls.ts";
import { haList } from "./figures/ha-list.ts";
import { haPolls } from "./figures/ha-polls.ts";
import { haWake } from "./figures/ha-wake.ts";
import { largeStore } from "./figures/large-store.ts";
import { newToken } from "./figures/new-token.ts";
import { putMember } from "./figures/put-member.ts";
import { storeSize } from "./figures/store-size.ts";
import { v2Get } from "./figures/v2-get.ts";
import { v2LargeTree } from "./figures/v2-large-tree.ts";
import { v2Polls } from "./figures/v2-polls.ts";
import { v2Put } from "./figures/v2-put.ts";
import { v3Memory } from "./figures/v3-memory.ts";
import { v3Put } from "./figures/v3-put.ts";
import { v3Range } from "./figures/v3-range.ts";
import { v3Watch } from "./figures/v3-watch.ts";
import { wake } from "./figures/wake.ts";
import { describeEnvironment } from "./lib/environment.ts";
import type { Figure, Scale } from "./lib/figure.ts";
import { completeBuild, DEFAULT_DATA } from "./lib/project.ts";
import { reportOf } from "./lib/report.ts";
import { Scratch } from "./lib/scratch.ts";
import { etcdBinaries } from "./peers/etcd-binaries.ts";

const FIGURES: readonly Figure[] = [
  ...[getToken, newToken, putMember, wake, storeSize, largeStore],
  ...[v2Put, v2Get, v2Polls, v2LargeTree],
  ...[v3Put, v3Range, v3Watch, v3Memory],
  ...[haCalls, haWake, haList, haPolls],
  enginePuts,
];

const FULL: Scale = {
  warmUps: 1,
  rounds: 7,
  roundMs: 3_000,
  clusters: 15_000,
  waiters: [3, 1_000],
  storeSizes: [1_000, 100_000, 1_000_000],
  largeStore: 100_000,
  polls: 10_000,
  largeTree: 1_000_000,
};

/** Shows in about a minute that everything runs; its figures say little. */
const QUICK: Scale = {
  warmUps: 0,
  rounds: 1,
  roundMs: 300,
  clusters: 300,
  waiters: [3, 100],
  storeSizes: [100, 1_000],
  largeStore: 1_000,
  polls: 500,
  largeTree: 2_000,
};

const { values: flags, positionals: names } = parseArgs({
  options: { quick: { type: "boolean", default: false }, dir: { type: "string", default: DEFAULT_DATA } },
  allowPositionals: true,
});
const known = FIGURES.map(({ name }) => name);
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`Name figures among ${known.join(", ")}: there is no ${unknown.join(", ")}`);
  process.exit(2);
}

// Ending by `exit` lets everything that was started end, and data directories go.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

completeBuild();
const scratch = new Scratch(flags.dir);
const etcd = await etcdBinaries();
const scale = flags.quick ? QUICK : FULL;
const begun = performance.now();
console.log(`# npm run bench${process.argv.slice(2).length === 0 ? "" : ` -- ${process.argv.slice(2).join(" ")}`}\n`);
for (const line of await describeEnvironment(scratch.directory("disk"), etcd)) console.log(`- ${line}`);
console.log("- every value: the median of its rounds and, in brackets, the least and the most of them\n");
for (const figure of FIGURES.filter(({ name }) => names.length === 0 || names.includes(name))) {
  if (figure.needsEtcd && etcd === undefined) {
    console.log(`## ${figure.name}: left out, for want of an etcd\n`);
    continue;
  }
  for (const result of await figure.run({ scale, scratch, etcd })) console.log(reportOf(result));
}
console.log(
  `${flags.quick ? "A quick run: its figures say little. " : ""}It took ${Math.round((performance.now() - begun) / 1000)} s.`,
);
process.exit();
