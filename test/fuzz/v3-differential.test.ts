import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { randomPrograms } from "../support/random-programs.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";
import { isBefore, judgedV3Program, knownV3Differences } from "./v3-known-differences.ts";
import { playV3Program, type V3Pair } from "./v3-lockstep.ts";
import { v3Program, watchedV3Program } from "./v3-programs.ts";
import { startV3Pair } from "./v3-server-pair.ts";
import { listing, type V3Step, v3StepSchema } from "./v3-steps.ts";

const RUN = randomPrograms({ programs: 40, programTimeoutMs: 120_000 });
/** etcd's own defaults, for its least lease. */
const ELECTION = ["--heartbeat-interval", "100", "--election-timeout", "1000"];

const pinnedSchema = z.array(
  z.strictObject({
    name: z.string(),
    /** The known differences that it shows, where that release of etcd has them; none: both answer the same. */
    shows: z.array(z.string()).optional(),
    steps: z.array(v3StepSchema),
  }),
);

const pinned = pinnedSchema.parse(JSON.parse(await readFile(new URL("./v3-pinned.json", import.meta.url), "utf8")));

await describeWithEtcdGo("3.7", "v3 as etcd 3.7", (binaries) => against(binaries, RUN.programs));
await describeWithEtcdGo("3.6", "v3 as etcd 3.6", (binaries) => against(binaries, Math.ceil(RUN.programs / 3)));
await describeWithEtcd("v3 as Debian's etcd", (binaries) => against(binaries, Math.ceil(RUN.programs / 3)));

function against(binaries: EtcdBinaries, programs: number): void {
  const { version } = binaries;
  const differences = knownV3Differences(version);
  let pair: (V3Pair & AsyncDisposable) | undefined;

  /** Plays a program; gives the known differences that it met, fails with any other. */
  const compare = async (steps: readonly V3Step[]): Promise<ReadonlySet<string>> => {
    if (pair === undefined) throw new Error("the servers were not started");
    const { wrong, known } = judgedV3Program(await playV3Program(pair, steps), version);
    expect(wrong, `both answer the same to\n${listing(steps)}`).toEqual([]);
    return known;
  };

  beforeAll(async () => {
    pair = await startV3Pair(binaries, ELECTION);
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());

  it.each(pinned)("$name", { timeout: RUN.programTimeoutMs }, async ({ steps, shows }) => {
    expect([...(await compare(steps))]).toEqual((shows ?? []).filter((name) => differences.includes(name)));
  });

  it("has a pinned program for each known difference", () => {
    const shown = new Set(pinned.flatMap(({ shows }) => shows ?? []));
    expect(differences.filter((name) => !shown.has(name))).toEqual([]);
  });

  const newer = !isBefore(version, 3, 7);
  it.each([
    ["programs", v3Program({ newer }), programs],
    ["programs that are watched", watchedV3Program({ newer: !isBefore(version, 3, 5) }), Math.ceil(programs / 2)],
  ] as const)(
    `answers random %s the same (seed ${RUN.seed})`,
    { timeout: RUN.timeoutMs },
    async (_title, program, count) => {
      const property = fc.asyncProperty(program, async (steps) => void (await compare(steps)));
      await RUN.assert(property, count);
    },
  );
}
