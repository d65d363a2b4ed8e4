/** The random programs of v2 and v3, played on a Muster whose store is an etcd, and on an etcd alone. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { EtcdBinaries } from "../support/etcd-binaries.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { type MusterOverEtcd, startMusterOverEtcd } from "../support/muster-over-etcd.ts";
import { randomPrograms } from "../support/random-programs.ts";
import { V3Client } from "../support/v3-client.ts";
import { describeWithEtcd } from "../support/with-etcd.ts";
import { describeWithEtcdGo } from "../support/with-etcd-go.ts";
import { judgedProgram } from "./known-differences.ts";
import { playProgram } from "./lockstep.ts";
import { program } from "./programs.ts";
import { type ServerPair, startPair } from "./server-pair.ts";
import { listing, type Step } from "./steps.ts";
import { judgedV3Program } from "./v3-known-differences.ts";
import { playV3Program, type V3Pair } from "./v3-lockstep.ts";
import { v3Program, watchedV3Program } from "./v3-programs.ts";
import { type V3Step, listing as v3Listing } from "./v3-steps.ts";

/** Of each kind. */
const RUN = randomPrograms({ programs: 20, programTimeoutMs: 120_000 });
/** One program in so many waits until nodes expire. */
const EXPIRING_IN = 20;
/** Musters that share a store write their time into it now and then, which moves the index: such a program is played again. */
const PLAYS = 3;
const PREFIX = ["--store-prefix", "/somebody/muster/"];
/** etcd's own defaults, for its least lease. */
const ELECTION = ["--heartbeat-interval", "100", "--election-timeout", "1000"];

interface Played<T> {
  readonly play: Play<T>;
  readonly show: Show<T>;
  readonly count: number;
}

async function assertAll<T>(
  programs: fc.Arbitrary<readonly T[]>,
  { play: playOnce, show, count }: Played<T>,
): Promise<void> {
  const property = fc.asyncProperty(programs, async (steps) => {
    let wrong: readonly unknown[] = [];
    for (let time = 0; time < PLAYS; time++) {
      wrong = await playOnce(steps);
      if (wrong.length === 0) return;
    }
    expect(wrong, `both answer the same to\n${show(steps)}`).toEqual([]);
  });
  await RUN.assert(property, count);
}

type Show<T> = (steps: readonly T[]) => string;
/** Gives what both answer otherwise than the other. */
type Play<T> = (steps: readonly T[]) => Promise<readonly unknown[]>;

await describeWithEtcd("v2 over a prefix in an etcd, as a real etcd", (binaries) => {
  let pair: ServerPair | undefined;
  let played = 0;

  const play: Play<Step> = async (steps) => {
    if (pair === undefined) throw new Error("the servers were not started");
    played++;
    return judgedProgram(await playProgram(pair, steps, `/fuzz-${played}`)).wrong;
  };

  beforeAll(async () => {
    pair = await startPair(binaries, () => startMusterOverEtcd(binaries, PREFIX, { quiet: true }));
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());

  it(`answers ${RUN.programs} random programs the same (seed ${RUN.seed})`, { timeout: RUN.timeoutMs }, async () => {
    await assertAll(program({ expiringIn: EXPIRING_IN }), { play, show: listing, count: RUN.programs });
  });
});

await describeWithEtcdGo("3.7", "v3 over etcd 3.7, as etcd 3.7", (binaries) => defineV3(binaries));

function defineV3(binaries: EtcdBinaries): void {
  let etcd: EtcdServer | undefined;
  let over: MusterOverEtcd | undefined;
  let pair: V3Pair | undefined;

  const play: Play<V3Step> = async (steps) => {
    if (pair === undefined) throw new Error("the servers were not started");
    const { wrong } = judgedV3Program(await playV3Program(pair, steps), binaries.version);
    return wrong.filter(({ step, lines }) => !isLeaseOfKeysOnly(step, lines));
  };

  beforeAll(async () => {
    etcd = await startEtcd(binaries, ELECTION);
    over = await startMusterOverEtcd(binaries, [], { etcdFlags: ELECTION, quiet: true });
    const clients = { etcd: new V3Client(etcd.clientAddress), muster: new V3Client(over.clientAddress) };
    pair = { ...clients, isToldLate: true };
  });
  afterAll(async () => {
    pair?.etcd[Symbol.dispose]();
    pair?.muster[Symbol.dispose]();
    await Promise.all([etcd?.stop(), over?.[Symbol.asyncDispose]()]);
  });

  it.each([
    ["programs", v3Program({ newer: true }), RUN.programs],
    ["programs that are watched", watchedV3Program({ newer: true }), Math.ceil(RUN.programs / 2)],
  ] as const)(
    `answers random %s the same (seed ${RUN.seed})`,
    { timeout: RUN.timeoutMs },
    async (_title, programs, count) => {
      await assertAll(programs, { play, show: v3Listing, count });
    },
  );
}

/** Whether etcd 3.7 tells the lease of a key without its value is its choice, by how the answer is to be sorted. */
function isLeaseOfKeysOnly({ request }: V3Step, lines: readonly string[]): boolean {
  return (
    JSON.stringify(request).includes('"keys_only":true') &&
    lines.every((line) => /kvs\[\d+\]\.lease: expected "\d+", got "\d+"$/.test(line))
  );
}
