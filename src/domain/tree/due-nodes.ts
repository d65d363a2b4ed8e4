/**
 * Lets nodes go whose time has come, many at a time: they are read together, and then each is written by a revision of
 * its own with nothing read in between.
 */
import type { Clock } from "../../base/clock.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyRange, KeyValue } from "../../engine/model.ts";
import type { TreePath } from "./model.ts";
import type { StaleExpiries } from "./stale-expiries.ts";
import { comparesOf, operationsOf } from "./tree-changes.ts";
import { directoryKey, fileRecordKey, parseExpiryKey } from "./tree-layout.ts";
import { keyOfPath } from "./tree-path.ts";
import { planWrite } from "./tree-plan.ts";
import { type Found, found, readRanges } from "./tree-read.ts";

/** An entry of the expiry index whose time has come. */
export interface DueNode {
  readonly entry: KeyValue;
  readonly path: TreePath;
  readonly expires: number;
}

export interface DueNodesOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Their keys go along. */
  readonly stale: StaleExpiries;
}

/** A file's key, its side record, a directory's record. */
const KEYS_OF_A_NODE = 3;
const NODES_PER_READ = Math.floor(MAX_TXN_OPERATIONS / KEYS_OF_A_NODE);

/** What an entry of the expiry index says. */
export function dueNode(entry: KeyValue): DueNode | undefined {
  const due = parseExpiryKey(entry.key);
  return due === undefined ? undefined : { entry, ...due };
}

/** What became of one: it went; it is not the one that was to go then; or its place has been written to since it was read. */
export type Outcome = "gone" | "stale" | "overtaken";

/** Resolves when the engine has been given the writes, in the order of the nodes; that gives the outcome of each. */
export async function letGo(options: DueNodesOptions, due: readonly DueNode[]): Promise<readonly Promise<Outcome>[]> {
  const nodes: Found[] = [];
  for (let start = 0; start < due.length; start += NODES_PER_READ) {
    nodes.push(...(await readNodes(options.engine, due.slice(start, start + NODES_PER_READ))));
  }
  return due.map(({ expires }, place) => letOneGo(options, nodes[place], expires));
}

/** Not what is above or below them: a directory above whose time had come has gone before, and taken them along. */
async function readNodes(engine: Engine, due: readonly DueNode[]): Promise<readonly Found[]> {
  const { results } = await readRanges(engine, due.flatMap(keysOf));
  return due.map(({ path }, place) => {
    const [key, file, directory] = results
      .slice(place * KEYS_OF_A_NODE, (place + 1) * KEYS_OF_A_NODE)
      .map(({ kvs }) => kvs[0]);
    return found(path, { key, file, directory, below: undefined });
  });
}

function keysOf({ path }: DueNode): readonly KeyRange[] {
  return [{ key: keyOfPath(path) }, { key: fileRecordKey(path) }, { key: directoryKey(path) }];
}

async function letOneGo(
  { engine, clock, stale }: DueNodesOptions,
  target: Found | undefined,
  expires: number,
): Promise<Outcome> {
  if (target === undefined || target.kind === "missing" || target.expires !== expires) return "stale";
  const located = { revision: 0, target, ancestors: [] };
  const plan = planWrite({ kind: "expire", path: target.path }, located);
  const ride = stale.ride();
  const { succeeded } = await engine.txn({
    compares: [...comparesOf(plan, located), ...ride.compares],
    success: [...operationsOf(plan, located, clock.now()), ...ride.operations],
    failure: [],
  });
  if (succeeded) return "gone";
  ride.failed();
  return "overtaken";
}
