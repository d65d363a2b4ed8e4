import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, it, onTestFailed } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openLmdbEngine } from "../../src/engine/lmdb/lmdb-engine.ts";
import type { Event } from "../../src/engine/model.ts";
import { privateBuild } from "../support/build.ts";
import { startProcess } from "../support/processes.ts";
import { ALL, name } from "./requests.ts";

const KILLS = Number(process.env.MUSTER_TEST_KILLS ?? 50);
/** Brings back the times of the kills; what was under way at each is the machine's to choose. */
const SEED = Number(process.env.MUSTER_TEST_SEED ?? Date.now() % 2 ** 31);
const TIMEOUT_MS = 20_000 + KILLS * 2_000;
/** A process is killed so long after it was started (before it is open, even), or after it opened. */
const LONGEST_LOAD_MS = 250;
const child = fileURLToPath(new URL("lmdb-child.mjs", import.meta.url));

/** A key and its value, or none where it was deleted. */
type Write = readonly [string, string | undefined];

/** What the killed processes were told is done. */
class Acknowledged {
  /** By revision: the writes of its transaction, as the child tells them. */
  readonly writes = new Map<number, string>();
  readonly leases = new Set<bigint>();
  compactRevision = 0;
  /** The newest revision that anybody was shown. */
  seen = 1;

  /** Takes down the lines of one process; the last may be cut off in the middle, and then was told to nobody. */
  note(output: string): void {
    for (const line of output.split("\n").slice(0, -1)) {
      const [what = "", number = "", writes = ""] = line.split(" ");
      if (what === "wrote") {
        expect(this.writes.has(Number(number)), `revision ${number} was given twice`).toBe(false);
        this.writes.set(Number(number), writes);
      } else if (what === "lease") {
        this.leases.add(BigInt(number));
      } else if (what === "compacted") {
        this.compactRevision = Number(number);
      } else if (what === "saw") {
        this.seen = Math.max(this.seen, Number(number));
      } else {
        expect(what, line).toBe("open");
      }
    }
  }
}

/** The store as its own history tells it, followed from restart to restart. */
class Follower {
  readonly state = new Map<string, string>();
  #revision = 1;

  /** Reads every revision since the last time: each there once, whole, and as it was acknowledged. */
  async follow(engine: Engine, acknowledged: Acknowledged): Promise<void> {
    const { revision, compactRevision } = await engine.status();
    expect(revision).toBeGreaterThanOrEqual(Math.max(acknowledged.seen, ...acknowledged.writes.keys()));
    expect(compactRevision).toBeGreaterThanOrEqual(acknowledged.compactRevision);
    expect(compactRevision).toBeLessThanOrEqual(this.#revision + 1);
    const watch = engine.watch({ ...ALL, startRevision: this.#revision + 1 });
    watch.requestProgress();
    for await (const message of watch) {
      if (message.kind === "progress") {
        break;
      }
      for (const [at, writes] of byRevision(message.events)) {
        expect(at, "revisions without a gap").toBe(this.#revision + 1);
        this.#revision = at;
        this.#apply(at, writes, acknowledged);
      }
    }
    expect(this.#revision, "the last revision is in the history").toBe(revision);
  }

  #apply(revision: number, writes: readonly Write[], { writes: told }: Acknowledged) {
    const line = writes.map(([key, value]) => (value === undefined ? key : `${key}=${value}`)).join(",");
    const acknowledged = told.get(revision);
    if (acknowledged !== undefined) {
      expect(withoutEmptyDeletions(acknowledged, this.state), `revision ${revision}`).toBe(line);
    }
    expectWhole(revision, writes);
    for (const [key, value] of writes) {
      if (value === undefined) {
        this.state.delete(key);
      } else {
        this.state.set(key, value);
      }
    }
    told.delete(revision);
  }
}

/** A deletion of a key that is not there makes no event. */
function withoutEmptyDeletions(line: string, state: ReadonlyMap<string, string>): string {
  return line
    .split(",")
    .filter((write) => write.includes("=") || state.has(write))
    .join(",");
}

/** No half of a transaction: a group has three writes of one value; `last` and `pad` come together. */
function expectWhole(revision: number, writes: readonly Write[]): void {
  const kinds = writes.map(([key]) => key.split("/")[0]).join(" ");
  expect(["single", "group group group", "single last pad", "last pad"], `revision ${revision}`).toContain(kinds);
  expect(new Set(writes.flatMap(([, value]) => (value === undefined ? [] : [value.replace(/\.+$/, "")]))).size).toBe(1);
}

function byRevision(events: readonly Event[]): ReadonlyMap<number, readonly Write[]> {
  const revisions = new Map<number, Write[]>();
  for (const { kind, kv } of events) {
    const writes = revisions.get(kv.modRevision) ?? [];
    writes.push([name(kv.key), kind === "put" ? name(kv.value) : undefined]);
    revisions.set(kv.modRevision, writes);
  }
  return revisions;
}

interface Kill {
  readonly afterOpen: boolean;
  readonly ms: number;
}

const kills = fc.sample(
  fc.record({
    afterOpen: fc.constantFrom(true, true, true, false),
    ms: fc.integer({ min: 0, max: LONGEST_LOAD_MS }),
  }),
  { seed: SEED, numRuns: KILLS },
);

async function runUntilKilled(parameters: readonly string[], { afterOpen, ms }: Kill): Promise<string> {
  const running = await startProcess(process.execPath, [child, ...parameters]);
  if (afterOpen) {
    await running.waitForOutput(/^(open|failed) .*\n/m);
  }
  await sleep(ms);
  await running.stop("SIGKILL");
  return running.output();
}

it(
  `lmdb: killed ${KILLS} times under load, loses nothing that was acknowledged (seed ${SEED})`,
  async () => {
    await using built = await privateBuild();
    const directory = await mkdtemp(join(tmpdir(), "muster-kill-"));
    onTestFailed(() => console.error(`look at what is left in ${directory}`));
    const acknowledged = new Acknowledged();
    const follower = new Follower();
    let writes = 0;
    for (const [round, kill] of kills.entries()) {
      const output = await runUntilKilled([built.directory, directory, `r${round}`, "load"], kill);
      acknowledged.note(output);
      writes += acknowledged.writes.size;
      const engine = await openLmdbEngine({ directory, clock: systemClock });
      try {
        await follower.follow(engine, acknowledged);
        expect(acknowledged.writes.size, "acknowledged, but not in the history").toBe(0);
        const { kvs } = await engine.range(ALL);
        expect(new Map(kvs.map((kv) => [name(kv.key), name(kv.value)]))).toEqual(
          new Map([...follower.state].sort(([a], [b]) => (a < b ? -1 : 1))),
        );
        expect(await engine.leases()).toEqual(expect.arrayContaining([...acknowledged.leases]));
      } finally {
        await engine.close();
      }
    }
    expect(acknowledged.compactRevision, "some kills met a compacted store").toBeGreaterThan(1);
    expect(writes, "the kills met a working store").toBeGreaterThan(KILLS);
    console.info(`${KILLS} kills, ${writes} acknowledged transactions`);
    await rm(directory, { recursive: true });
  },
  TIMEOUT_MS,
);
