/** Lets go what lies below a directory that is to be empty, where all of it is past its time. */
import { type Clock, timeOver } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { TREE_SWEEP_BATCH } from "../../base/tree-limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { InTurn, type Place } from "./in-turn.ts";
import type { TreePath } from "./model.ts";
import { pathError } from "./tree-errors.ts";
import { belowRange, spaceOf } from "./tree-layout.ts";
import { pathOfKey } from "./tree-path.ts";
import { expiredFile, firstExpired, locate, readRanges } from "./tree-read.ts";

export interface ExpireBelowOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Lets a node go at its place, if it is still the one that was to go then. */
  readonly expire: (path: TreePath, expires: number, place: Place) => Promise<boolean>;
}

interface Overdue {
  readonly path: TreePath;
  readonly expires: number;
}

/** Resolves when nothing lies below the directory. Error: `directoryNotEmpty` where something does that is not past its time. */
export async function expireBelow(options: ExpireBelowOptions, directory: TreePath): Promise<void> {
  for (let paths = await readPaths(options, directory); paths.length > 0; paths = await readPaths(options, directory)) {
    const overdue = await overdueAmong(options, paths);
    if (overdue === undefined)
      throw pathError("directoryNotEmpty", directory, (await options.engine.status()).revision);
    const inTurn = new InTurn();
    const expiries = overdue.map(({ path, expires }) => expireAt(options, { path, expires, place: inTurn.next() }));
    const failed = (await Promise.allSettled(expiries)).find((expiry) => expiry.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

async function expireAt(
  { expire }: ExpireBelowOptions,
  { path, expires, place }: Overdue & { readonly place: Place },
): Promise<void> {
  try {
    await expire(path, expires, place);
  } finally {
    place.leave();
  }
}

/** The paths of the first keys below the directory; undefined for a key that v2 cannot name. */
async function readPaths(
  { engine }: ExpireBelowOptions,
  directory: TreePath,
): Promise<readonly (TreePath | undefined)[]> {
  const ranges = (["directory", "key"] as const).map((space) => {
    return { ...belowRange(space, directory), limit: TREE_SWEEP_BATCH, keysOnly: true, uncounted: true };
  });
  const { results } = await readRanges(engine, ranges);
  const places = results.flatMap(({ kvs }) => kvs.map(({ key }) => spaceOf(key)));
  return places.map((place) => (place === undefined ? undefined : pathOfKey(place.pathBytes)));
}

/** What has to go so that none of the paths is there any more, in the order of their times; undefined where one may stay. */
async function overdueAmong(
  options: ExpireBelowOptions,
  paths: readonly (TreePath | undefined)[],
): Promise<readonly Overdue[] | undefined> {
  const overdue = new Map<TreePath, Overdue>();
  for (const path of paths) {
    const found = path === undefined ? "stays" : await lookAt(options, path);
    if (found === "stays") return undefined;
    if (found !== "gone") overdue.set(found.path, found);
  }
  return [...overdue.values()].sort((a, b) => a.expires - b.expires);
}

/** The outermost node on the way to a path whose time has come. */
async function lookAt({ engine, clock }: ExpireBelowOptions, path: TreePath): Promise<Overdue | "stays" | "gone"> {
  try {
    const located = await locate(engine, path);
    return firstExpired(located, timeOver(clock)) ?? (located.target.kind === "missing" ? "gone" : "stays");
  } catch (error) {
    if (!isMusterError(error, "notDirectory")) throw error;
    return (await expiredFile({ engine, clock }, error)) ?? "stays";
  }
}
