import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { randomPrograms } from "../support/random-programs.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { judgedProgram, KNOWN_DIFFERENCES } from "./known-differences.ts";
import { playProgram } from "./lockstep.ts";
import { program } from "./programs.ts";
import { type ServerPair, startPair } from "./server-pair.ts";
import { listing, type Step, stepSchema } from "./steps.ts";

/** A program may wait for expiry and then for watches. */
const RUN = randomPrograms({ programs: 100, programTimeoutMs: 120_000 });
/** One program in so many waits until nodes expire. */
const EXPIRING_IN = 60;

const pinnedSchema = z.array(
  z.strictObject({
    name: z.string(),
    /** The known differences that it shows; none: both answer the same. */
    shows: z.array(z.string()).optional(),
    steps: z.array(stepSchema),
  }),
);

const pinned = pinnedSchema.parse(JSON.parse(await readFile(new URL("./pinned.json", import.meta.url), "utf8")));

await describeWithEtcd("v2 as a real etcd", (binaries) => {
  let pair: ServerPair | undefined;
  let played = 0;
  const run = Date.now().toString(36);

  /**
   * Plays a program in a directory of its own; gives the known differences that it met, fails with any other. Undefined
   * where the machine was too slow for what expires, so that nothing was compared.
   */
  const compare = async (steps: readonly Step[]): Promise<ReadonlySet<string> | undefined> => {
    if (pair === undefined) throw new Error("the servers were not started");
    played++;
    const answers = await playProgram(pair, steps, `/fuzz-${run}-${played}`);
    const { wrong, known } = judgedProgram(answers);
    expect(wrong, `both answer the same to\n${listing(steps)}`).toEqual([]);
    return answers.length === 0 ? undefined : known;
  };

  beforeAll(async () => {
    pair = await startPair(binaries);
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());

  it.each(pinned)("$name", { timeout: RUN.programTimeoutMs }, async ({ steps, shows }) => {
    let known: ReadonlySet<string> | undefined;
    while (known === undefined) known = await compare(steps);
    expect([...known]).toEqual(shows ?? []);
  });

  it("has a pinned program for each known difference", () => {
    const shown = new Set(pinned.flatMap(({ shows }) => shows ?? []));
    expect(KNOWN_DIFFERENCES.filter((name) => !shown.has(name))).toEqual([]);
  });

  const title = `answers ${RUN.programs} random programs the same (seed ${RUN.seed})`;
  it(title, { timeout: RUN.timeoutMs }, async () => {
    const property = fc.asyncProperty(
      program({ expiringIn: EXPIRING_IN }),
      async (steps) => void (await compare(steps)),
    );
    await RUN.assert(property);
  });
});
