/** Turns a plan into a transaction: the conditions under which what was read still stands, and the changes. */
import { NO_BYTES } from "../../base/bytes.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import type { Compare, KeyRange, Operation, Revision } from "../../engine/model.ts";
import type { TreePath } from "./model.ts";
import { ACTION_KEY, belowRange, directoryKey, expiryKey, fileRecordKey } from "./tree-layout.ts";
import { keyOfPath } from "./tree-path.ts";
import type { After, Existing, Plan } from "./tree-plan.ts";
import { absent, type FoundFile, type Located } from "./tree-read.ts";
import { type ActionRecord, type FileRecord, type NodeFacts, writeRecord } from "./tree-records.ts";

/** Missing directories whose names are guarded; v3 keys that come in their way further down lose to the directories. */
const MAX_GUARDED_DIRECTORIES = 40;

/** The longest path (MAX_KEY_BYTES) has under a thousand directories: in the smallest parts that is fewer than this. */
const MAX_PARTS = 32;

/** What must hold for the plan to be right: the target, and the directories that the write relies on or makes. */
export function comparesOf(plan: Plan, located: Located): Compare[] {
  const compares = targetCompares(plan);
  if (makesDirectories(plan)) addParentCompares(located, compares);
  return compares;
}

/** Everything that the plan writes, its expiry index and its action included. `now`: the writer's clock, in ms. */
export function operationsOf(plan: Plan, { ancestors }: Located, now: number): Operation[] {
  const operations = [put(ACTION_KEY, writeRecord(actionOf(plan, now)))];
  if (makesDirectories(plan)) {
    for (const { path, record } of ancestors) {
      if (record === undefined) operations.push(put(directoryKey(path), writeRecord({})));
    }
  }
  operations.push(...targetOperations(plan));
  addExpiryOperations(plan, operations);
  return operations;
}

/** The file that a plan leaves at a revision, its value unread; undefined where it leaves none. */
export function fileAfter({ path, before, after }: Plan, revision: Revision): FoundFile | undefined {
  if (after.kind !== "file") return undefined;
  const old = before?.kind === "file" ? before : undefined;
  const record = recordOf(before, after);
  return {
    kind: "file",
    path,
    value: NO_BYTES,
    isUnread: true,
    createdIndex: after.createdIndex ?? revision,
    modifiedIndex: revision,
    expires: after.expires,
    hasRecord: record !== undefined || old?.hasRecord === true,
    anew: record === undefined ? old?.anew === true : record.anew === true,
  };
}

/**
 * Nests operations where there are too many for one level of a transaction. What compares or parts the outer level has
 * counts against each inner one (etcd's checkTxnRequest).
 */
export function fitOperations(operations: readonly Operation[], compares: number): readonly Operation[] {
  if (operations.length <= MAX_TXN_OPERATIONS) return operations;
  const size = MAX_TXN_OPERATIONS - Math.max(compares, MAX_PARTS);
  const parts: Operation[] = [];
  for (let start = 0; start < operations.length; start += size) {
    const success = operations.slice(start, start + size);
    parts.push({ kind: "txn", request: { compares: [], success, failure: [] } });
  }
  return parts;
}

function targetCompares({ path, before, after, recursive }: Plan): Compare[] {
  if (before === undefined) return [absent(keyOfPath(path)), absent(directoryKey(path))];
  const standing = before.kind === "file" ? fileUnchanged(before) : directoryUnchanged(before);
  if (after.kind !== "gone" || before.kind === "file" || recursive) return [standing];
  return [standing, absentRange(belowRange("key", path)), absentRange(belowRange("directory", path))];
}

function fileUnchanged({ path, modifiedIndex }: Extract<Existing, { kind: "file" }>): Compare {
  return unchanged({ key: keyOfPath(path), modRevision: modifiedIndex });
}

function directoryUnchanged(before: Extract<Existing, { kind: "directory" }>): Compare {
  return before.record === undefined ? absent(directoryKey(before.path)) : unchanged(before.record);
}

/**
 * A directory's record is never there without those of all directories above it, so the innermost one that is there
 * stands for the others; of those that are missing, each name must still be free.
 */
function addParentCompares({ ancestors }: Located, compares: Compare[]): void {
  const innermost = ancestors.findLast((ancestor) => ancestor.record !== undefined)?.record;
  if (innermost !== undefined) compares.push(unchanged(innermost));
  let missing = 0;
  for (const { path, record } of ancestors) {
    if (record !== undefined || ++missing > MAX_GUARDED_DIRECTORIES) continue;
    compares.push(absent(keyOfPath(path)), absent(directoryKey(path)));
  }
}

function makesDirectories({ after }: Plan): boolean {
  return after.kind !== "gone";
}

function targetOperations(plan: Plan): readonly Operation[] {
  const { path, before, after, recursive } = plan;
  if (after.kind === "file") return writeFile(path, before, after);
  if (after.kind === "directory") {
    const old = before?.kind === "file" ? removeFile(before) : [];
    return [
      ...old,
      put(directoryKey(path), writeRecord(after.expires === undefined ? {} : { expires: after.expires })),
    ];
  }
  if (before === undefined) return [];
  if (before.kind === "file") return removeFile(before);
  return recursive ? removeAll(path) : [remove({ key: directoryKey(path) })];
}

function writeFile(
  path: TreePath,
  before: Existing | undefined,
  after: Extract<After, { kind: "file" }>,
): readonly Operation[] {
  const asks = before?.kind === "file" && before.isUnread === true;
  const file: Operation = { kind: "put", request: { key: keyOfPath(path), value: after.value, prevKv: asks } };
  const record = recordOf(before, after);
  return record === undefined ? [file] : [file, put(fileRecordKey(path), writeRecord(record))];
}

/**
 * The side record that is to be written, if any: mostly none, because the key's own revisions, and the record that there
 * is, say it all.
 */
function recordOf(before: Existing | undefined, after: Extract<After, { kind: "file" }>): FileRecord | undefined {
  const { createdIndex: created, expires } = after;
  const isAnew = before?.kind === "file" && before.anew;
  const facts = created !== undefined ? { created } : before === undefined ? {} : { anew: true };
  if (expires !== undefined) return { ...facts, expires };
  const isSaid = before === undefined || (created === undefined ? isAnew : !isAnew);
  return isSaid ? undefined : facts;
}

function removeFile(before: Extract<Existing, { kind: "file" }>): readonly Operation[] {
  const file = remove({ key: keyOfPath(before.path) });
  return before.hasRecord ? [file, remove({ key: fileRecordKey(before.path) })] : [file];
}

function removeAll(path: TreePath): readonly Operation[] {
  return [
    remove({ key: keyOfPath(path) }),
    remove({ key: fileRecordKey(path) }),
    remove({ key: directoryKey(path) }),
    remove(belowRange("key", path)),
    remove(belowRange("file", path)),
    remove(belowRange("directory", path)),
  ];
}

function addExpiryOperations({ path, before, after }: Plan, operations: Operation[]): void {
  const old = before?.expires;
  const next = after.kind === "gone" ? undefined : after.expires;
  if (old !== undefined && old !== next) operations.push(remove({ key: expiryKey(old, path) }));
  if (next !== undefined) operations.push(put(expiryKey(next, path), NO_BYTES));
}

/** What is undefined here is left out of the record. */
function actionOf({ action, path, before, after, refresh }: Plan, now: number): ActionRecord {
  return {
    action,
    path,
    at: now,
    refresh: refresh ? true : undefined,
    node: factsAfter(before, after),
    prev: before === undefined ? undefined : factsBefore(before),
  };
}

function factsAfter(before: Existing | undefined, after: After): NodeFacts {
  if (after.kind === "gone") return { directory: before?.kind === "directory", created: before?.createdIndex ?? 0 };
  return { directory: after.kind === "directory", created: after.createdIndex, expires: after.expires };
}

function factsBefore(before: Existing): NodeFacts {
  const { createdIndex: created, expires } = before;
  const isDirectory = before.kind === "directory";
  return { directory: isDirectory, created, modified: isDirectory ? created : before.modifiedIndex, expires };
}

/** Holds while nothing was written to a key since it was read. */
export function unchanged({ key, modRevision }: { readonly key: Uint8Array; readonly modRevision: number }): Compare {
  return { key, target: "modRevision", result: "equal", expected: modRevision };
}

/** Holds while there is no key in a range: a compare over a range asks every key, and none has version 0. */
function absentRange(range: KeyRange): Compare {
  return { ...range, target: "version", result: "equal", expected: 0 };
}

function put(key: Uint8Array, value: Uint8Array): Operation {
  return { kind: "put", request: { key, value } };
}

function remove(range: KeyRange): Operation {
  return { kind: "deleteRange", request: range };
}
