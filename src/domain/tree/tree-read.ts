/** Finds out, at one revision, what stands at a path and on the way to it. */
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, timeOver } from "../../base/clock.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import type {
  Compare,
  KeyValue,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResult,
  Revision,
} from "../../engine/model.ts";
import type { TreeNode, TreePath } from "./model.ts";
import { pathError } from "./tree-errors.ts";
import { belowRange, directoryKey, fileRecordKey } from "./tree-layout.ts";
import { ancestorsOf, keyOfPath, parsePath, ROOT } from "./tree-path.ts";
import { type FileFacts, readDirectoryRecord, readFileFacts } from "./tree-records.ts";

/**
 * What stands at a path. A directory's record goes before a key of the same name (v3 may have put one), and that key
 * before what lies below it; a directory without a record is implied by keys that v3 put, and has no indices (0).
 */
export type Found =
  | { readonly kind: "missing"; readonly path: TreePath }
  | FoundFile
  | {
      readonly kind: "directory";
      readonly path: TreePath;
      readonly record: KeyValue | undefined;
      readonly createdIndex: Revision;
      readonly expires: number | undefined;
    };

export interface FoundFile extends FileFacts {
  readonly kind: "file";
  readonly path: TreePath;
  readonly value: Bytes;
  /** True where the value, empty here, was not read: a write that replaces it asks for it. */
  readonly isUnread?: true;
  readonly modifiedIndex: Revision;
  /** Whether there is a side record, be it out of date. */
  readonly hasRecord: boolean;
}

/** A directory above; without a record it is implied, or (where what was looked for is missing) perhaps not there. */
export interface Ancestor {
  readonly path: TreePath;
  readonly record: KeyValue | undefined;
  readonly expires: number | undefined;
}

export interface Located {
  readonly revision: Revision;
  readonly target: Found;
  /** All directories above the target but the root, outermost first. */
  readonly ancestors: readonly Ancestor[];
}

/** Ranges that one read of a path may take at once, so that it stays below the limit with two for each ancestor. */
const MAX_ANCESTORS_AT_ONCE = Math.floor((MAX_TXN_OPERATIONS - 4) / 2);

/**
 * Reads a path in one call of the engine (two, where v3 wrote on the way to it, or where it is very deep). Errors:
 * `notDirectory` where a file stands in the way.
 */
export async function locate(engine: Engine, path: TreePath): Promise<Located> {
  const above = ancestorsOf(path);
  if (above.length > MAX_ANCESTORS_AT_ONCE) return locateDeep(engine, path);
  const own = [keyOfPath(path), fileRecordKey(path), directoryKey(path)].map((key) => ({ key }));
  const records = above.map((ancestor) => ({ key: directoryKey(ancestor) }));
  const ifMissing = [probeBelow(path), ...above.map((ancestor) => ({ key: keyOfPath(ancestor), keysOnly: true }))];
  const result = await engine.txn({
    compares: [absent(keyOfPath(path)), absent(directoryKey(path))],
    success: [...own, ...records, ...ifMissing].map(asRange),
    failure: [...own, ...records].map(asRange),
  });
  const results = result.results.map(asRangeResult);
  const [key, file, directory] = results;
  const below = results[own.length + records.length];
  const revision = key?.revision ?? result.revision;
  const target = found(path, { key: first(key), file: first(file), directory: first(directory), below: first(below) });
  const ancestors = above.map((ancestor, place) => asAncestor(ancestor, first(results[own.length + place])));
  const located = { revision, target, ancestors };
  const keys = result.succeeded ? results.slice(own.length + records.length + 1) : undefined;
  await refuseFileInTheWay(engine, located, keys);
  return located;
}

async function locateDeep(engine: Engine, path: TreePath): Promise<Located> {
  const above = ancestorsOf(path);
  const ranges = [
    ...[keyOfPath(path), fileRecordKey(path), directoryKey(path)].map((key) => ({ key })),
    probeBelow(path),
    ...above.map((ancestor) => ({ key: directoryKey(ancestor) })),
  ];
  const { revision, results } = await readRanges(engine, ranges);
  const [key, file, directory, below, ...records] = results.map(first);
  const target = found(path, { key, file, directory, below });
  const ancestors = above.map((ancestor, place) => asAncestor(ancestor, records[place]));
  await refuseFileInTheWay(engine, { revision, target, ancestors }, undefined);
  return { revision, target, ancestors };
}

async function refuseFileInTheWay(
  engine: Engine,
  located: Located,
  known: readonly RangeResult[] | undefined,
): Promise<void> {
  const suspects = located.ancestors.filter((ancestor) => ancestor.record === undefined);
  if (suspects.length === 0) return;
  const keys = known ?? (await readKeys(engine, located));
  for (const [place, ancestor] of located.ancestors.entries()) {
    if (ancestor.record === undefined && first(keys[place]) !== undefined) {
      throw pathError("notDirectory", ancestor.path, located.revision);
    }
  }
}

async function readKeys(engine: Engine, located: Located): Promise<readonly RangeResult[]> {
  const ranges = located.ancestors.map((ancestor) => ({ key: keyOfPath(ancestor.path), keysOnly: true }));
  const { results } = await readRanges(engine, ranges, located.revision);
  return results;
}

/** Reads the directories above a path in one call of the engine; without what may stand in their way. */
export async function readAncestors(engine: Engine, path: TreePath): Promise<readonly Ancestor[]> {
  const above = ancestorsOf(path);
  const { results } = await readRanges(
    engine,
    above.map((ancestor) => ({ key: directoryKey(ancestor) })),
  );
  return above.map((ancestor, place) => asAncestor(ancestor, first(results[place])));
}

/** The first directory on the way to a missing path that is not there either, or the path itself. */
export async function firstMissing(engine: Engine, located: Located): Promise<TreePath> {
  const doubtful = located.ancestors.filter((ancestor) => ancestor.record === undefined);
  const probes = doubtful.map((ancestor) => probeBelow(ancestor.path));
  const { results } = await readRanges(engine, probes, located.revision);
  const missing = doubtful.find((_ancestor, place) => first(results[place]) === undefined);
  return missing?.path ?? located.target.path;
}

/** The outermost node on a path, itself included, whose time has come. */
export function firstExpired(
  located: Located,
  now: number,
): { readonly path: TreePath; readonly expires: number } | undefined {
  for (const ancestor of located.ancestors) {
    if (isOver(ancestor, now)) return ancestor;
  }
  const { target } = located;
  return target.kind !== "missing" && isOver(target, now) ? target : undefined;
}

interface Ends {
  readonly path: TreePath;
  readonly expires: number | undefined;
}

function isOver<T extends Ends>(node: T, now: number): node is T & { readonly expires: number } {
  return node.expires !== undefined && node.expires <= now;
}

/** The file that a `notDirectory` error is about, if its time has come: then it stands in nobody's way. */
export async function expiredFile(
  { engine, clock }: { readonly engine: Engine; readonly clock: Clock },
  error: MusterError,
): Promise<{ readonly path: TreePath; readonly expires: number } | undefined> {
  return firstExpired(await locate(engine, parsePath(String(error.details.path))), timeOver(clock));
}

/** Whether nothing at all lies below a directory (hidden nodes count). */
export async function isEmpty(engine: Engine, path: TreePath, revision: Revision): Promise<boolean> {
  const probes = [probeBelow(path), { ...belowRange("directory", path), limit: 1, keysOnly: true, uncounted: true }];
  const { results } = await readRanges(engine, probes, revision);
  return results.every((result) => result.kvs.length === 0);
}

/** A node as it was found. */
export function nodeOf(target: Exclude<Found, { kind: "missing" }>): TreeNode {
  const { path, createdIndex, expires } = target;
  const node: TreeNode =
    target.kind === "directory"
      ? { kind: "directory", path, createdIndex, modifiedIndex: createdIndex }
      : { kind: "file", path, value: target.value, createdIndex, modifiedIndex: target.modifiedIndex };
  return expires === undefined ? node : { ...node, expires };
}

/** Holds while a key does not exist. */
export function absent(key: Uint8Array): Compare {
  return { key, target: "version", result: "equal", expected: 0 };
}

/** Reads any number of ranges at one revision, in as few calls as the limit of operations allows. */
export async function readRanges(
  engine: Engine,
  ranges: readonly RangeRequest[],
  revision?: Revision,
): Promise<{ readonly revision: Revision; readonly results: readonly RangeResult[] }> {
  const results: RangeResult[] = [];
  let pinned = revision;
  for (let start = 0; start < ranges.length; start += MAX_TXN_OPERATIONS) {
    const part = ranges.slice(start, start + MAX_TXN_OPERATIONS);
    const at = pinned === undefined ? {} : { revision: pinned };
    const answer = await engine.txn({
      compares: [],
      success: part.map((range) => asRange({ ...range, ...at })),
      failure: [],
    });
    results.push(...answer.results.map(asRangeResult));
    pinned ??= results[0]?.revision;
  }
  return { revision: pinned ?? 0, results };
}

/** What stands at a path, by the keys that were read for it: its own, the two records, and the first key below it. */
export function found(
  path: TreePath,
  read: Readonly<Record<"key" | "file" | "directory" | "below", KeyValue | undefined>>,
): Found {
  const { key: kv, file: record, directory, below } = read;
  if (path === ROOT) return { kind: "directory", path, record: undefined, createdIndex: 0, expires: undefined };
  if (directory !== undefined) {
    const { expires } = readDirectoryRecord(directory);
    return { kind: "directory", path, record: directory, createdIndex: directory.createRevision, expires };
  }
  if (kv !== undefined) {
    const { value, modRevision: modifiedIndex } = kv;
    return { kind: "file", path, value, modifiedIndex, hasRecord: record !== undefined, ...readFileFacts(kv, record) };
  }
  if (below === undefined) return { kind: "missing", path };
  return { kind: "directory", path, record: undefined, createdIndex: 0, expires: undefined };
}

function asAncestor(path: TreePath, record: KeyValue | undefined): Ancestor {
  return { path, record, expires: record === undefined ? undefined : readDirectoryRecord(record).expires };
}

function probeBelow(path: TreePath): RangeRequest {
  return { ...belowRange("key", path), limit: 1, keysOnly: true, uncounted: true };
}

function asRange(request: RangeRequest): Operation {
  return { kind: "range", request };
}

function asRangeResult(result: OperationResult): RangeResult {
  if (result.kind === "range") return result.result;
  throw new MusterError(
    "internal",
    `Report this defect: the engine answered a range with another kind: ${result.kind}`,
  );
}

function first(result: RangeResult | undefined): KeyValue | undefined {
  return result?.kvs[0];
}
