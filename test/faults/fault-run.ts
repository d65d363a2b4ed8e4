/** A whole run: processes, load, faults, and what the checker says of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { check } from "./checker.ts";
import { Dice } from "./dice.ts";
import type { Stage } from "./fault-control.ts";
import type { Step } from "./fault-plan.ts";
import { FaultSteps } from "./fault-steps.ts";
import type { Change, FinalState, WriteOutcome } from "./history.ts";
import { checkLeftOpen, countApplied } from "./left-open.ts";
import { Load } from "./load.ts";
import { readStoreLog } from "./read-store-log.ts";
import { untilAnswered, untilDone } from "./recovery.ts";
import { SHORT_LIVED } from "./short-lived.ts";
import { textOf } from "./v3-client.ts";
import { LOAD_PREFIX, type Worker } from "./worker.ts";

/** Files past their time are gone so long after the last fault. */
const EXPIRED_MS = 30_000;
/** No watch that is behind goes so long without being told anything: one whose connection was lost asks anew before. */
const NOT_TOLD_MS = 35_000;
/** Those that are being told one by one of what was before a Muster's start are not waited for longer. */
const CAUGHT_UP_MS = 45_000;
const POLL_MS = 200;
const ASKED_AGAIN_MS = 5_000;

export interface FaultRunOptions extends Stage {
  readonly seed: number;
  /** Ends the run: there may be more steps than time. */
  readonly steps: Iterable<Step>;
  readonly lastsMs: number;
  /** The `--store-prefix` of the Musters; "": none. */
  readonly storePrefix: string;
  /** Called after each step, to let real nodes boot in between. */
  readonly between: (place: number) => Promise<readonly string[]>;
  readonly say: (line: string) => void;
}

export interface FaultReport {
  /** A sentence each; empty: all was well. */
  readonly wrong: readonly string[];
  readonly summary: Readonly<Record<string, number>>;
}

export async function runFaults(options: FaultRunOptions): Promise<FaultReport> {
  const { musters, seed, say } = options;
  using load = new Load(musters, new Dice(seed));
  const steps = new FaultSteps(options, load.worker("probe"), say);
  const wrong: string[] = [];
  /** Whether answers of the store were lost while nothing else befell. */
  let leavesOpen = false;
  load.start();
  try {
    await steps.whenAllServe("before the first fault");
    const until = performance.now() + options.lastsMs;
    let place = 0;
    for (const step of options.steps) {
      if (performance.now() > until) break;
      await steps.run(step);
      leavesOpen ||= step.faults.every(({ kind }) => kind === "loseStoreAnswers");
      wrong.push(...(await options.between(place)));
      place += 1;
    }
    wrong.push(...(await catchUp(load, load.worker("marker"))));
  } finally {
    await load.stop();
  }
  const { recorder } = load;
  const reader = load.worker("final");
  wrong.push(...(await whenExpired(reader)));
  const finals = await Promise.all(musters.map(({ name }, index) => finalState(reader, { name, index })));
  const log = await readStoreLog(options, reader);
  const history = { operations: recorder.operations, watches: load.watches, formations: load.formations, log, finals };
  wrong.push(...steps.wrong, ...recorder.oddities, ...check(history));
  if (leavesOpen) wrong.push(...checkLeftOpen(history));
  return { wrong, summary: summaryOf(load, log) };
}

/** Every watch is told of a write that comes after all faults, or is on its way there. */
async function catchUp({ watches }: Load, marker: Worker): Promise<readonly string[]> {
  const { recorder, targets, v2, dice, name: client } = marker;
  const target = dice.one(targets);
  const outcome = await untilDone(() => {
    const write = { client, muster: target.name, key: `${LOAD_PREFIX}r/marker`, value: recorder.newValue(client) };
    return recorder.write(write, () => v2.put(target, write));
  });
  if (outcome.kind !== "done") return [`a write after all faults was not taken by ${target.name}: ${outcome.why}`];
  const deadline = performance.now() + CAUGHT_UP_MS;
  const behind = () => watches.filter((watch) => watch.broken === undefined && watch.revision < outcome.revision);
  while (behind().length > 0 && performance.now() < deadline) await sleep(POLL_MS);
  const stuck = behind().filter(({ toldAt }) => performance.now() - toldAt > NOT_TOLD_MS);
  return Promise.all(
    stuck.map(async ({ client: who, revision, asked }) => {
      const now = Math.round(performance.now());
      const told = await askAll(marker, revision + 1);
      return `${who} hangs at ${revision}: it was not told of ${outcome.revision} and asked ${asked.join(", ")}; at ${now} ms ${told}`;
    }),
  );
}

/** What each of them says of the first change from a revision on. */
async function askAll({ v2, targets }: Worker, from: number): Promise<string> {
  const answers = targets.map(async (target) => {
    const signal = AbortSignal.timeout(ASKED_AGAIN_MS);
    const change = await v2.next(target, { directory: `${LOAD_PREFIX}r`, from, signal }).catch(String);
    return `${target.name}: ${typeof change === "string" ? change : (change?.revision ?? "nothing")}`;
  });
  return (await Promise.all(answers)).join(", ");
}

async function whenExpired({ v3, targets, dice }: Worker): Promise<readonly string[]> {
  const deadline = performance.now() + EXPIRED_MS;
  let left: readonly string[] = [];
  do {
    const answer = await v3.range(dice.one(targets), { key: SHORT_LIVED, prefix: true });
    if (answer?.kvs.length === 0) return [];
    left = answer?.kvs.map(({ key }) => textOf(key)) ?? ["(no answer)"];
    await sleep(POLL_MS);
  } while (performance.now() < deadline);
  return [`not gone ${EXPIRED_MS} ms after the last fault: ${left.join(", ")}`];
}

async function finalState(
  { v3, targets }: Worker,
  { name, index }: { readonly name: string; readonly index: number },
): Promise<FinalState> {
  const target = targets[index];
  if (target === undefined) throw new Error(`name ${name} among the targets`);
  const answer = await untilAnswered(() => v3.range(target, { key: LOAD_PREFIX, prefix: true }));
  if (answer === undefined) throw new Error(`${name} does not answer when all faults are over`);
  const keys = answer.kvs.map(({ key, value, modRevision }) => ({
    key: textOf(key),
    value: textOf(value),
    modRevision,
  }));
  return { muster: name, prefix: LOAD_PREFIX, storeRevision: answer.header?.revision ?? 0, keys };
}

function summaryOf({ recorder, formations, watches }: Load, log: readonly Change[]): Readonly<Record<string, number>> {
  const writes = recorder.operations.filter((operation) => operation.kind === "write");
  const count = (kind: string) => writes.filter(({ outcome }) => outcome.kind === kind).length;
  return {
    "writes acknowledged": count("done"),
    refused: count("refused"),
    "of those not taken by a store that was away": writes.filter(({ outcome }) => wasAway(outcome)).length,
    "of unknown outcome": count("unknown"),
    "of those applied": countApplied({ operations: recorder.operations, log }),
    reads: recorder.operations.filter((operation) => operation.kind === "read" && operation.found !== undefined).length,
    "events told": watches.reduce((sum, { changes: told }) => sum + told.length, 0),
    "clusters formed": formations.length,
    "changes in the store": log.length,
  };
}

function wasAway(outcome: WriteOutcome): boolean {
  return outcome.kind === "refused" && outcome.why.includes("Look after etcd");
}
