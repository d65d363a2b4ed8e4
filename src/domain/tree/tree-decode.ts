/** Reads tree events out of what the engine tells of a revision, whoever made it: this process, another one, or v3. */

import { type Bytes, equalBytes, NO_BYTES } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import { MAX_TXN_OPERATIONS } from "../../base/limits.ts";
import type { Engine } from "../../engine/engine.ts";
import { LongLoop } from "../../engine/long-loop.ts";
import type { Event, KeyValue, Revision } from "../../engine/model.ts";
import type { BareFiles } from "./bare-files.ts";
import type { TreeEvent, TreeNode, TreePath } from "./model.ts";
import { ACTION_KEY, fileRecordKey, parseExpiryKey, spaceOf } from "./tree-layout.ts";
import { isBelow, keyOfPath, parentOf, parsePath, pathOfKey, ROOT } from "./tree-path.ts";
import { readRanges } from "./tree-read.ts";
import { type NodeFacts, readActionRecord, readFileFacts } from "./tree-records.ts";

/** The changes of one revision, as the engine's watch gives them. */
export interface Change {
  readonly revision: Revision;
  readonly events: readonly Event[];
}

/** An event, and what it took away: watches on what lay below a deleted directory are told too. */
export interface DecodedEvent {
  readonly event: TreeEvent;
  /** Paths of files and directories below the node that went with it. */
  readonly removed: ReadonlySet<TreePath>;
}

export const NOTHING_REMOVED: ReadonlySet<TreePath> = new Set();

/**
 * The events of a revision; several where v3 changed several keys at once. A revision may have very many changes, as
 * when a large directory is deleted: whatever looks at all of them lets others run in between. `bare`, of which the
 * caller must have told of this and all revisions before, saves reading side records.
 */
export async function decodeChange(engine: Engine, change: Change, bare?: BareFiles): Promise<readonly DecodedEvent[]> {
  const loop = new LongLoop();
  // What is larger may be a piece of a revision: of one that is, the record may come in a later piece.
  const known = change.events.length <= MAX_TXN_OPERATIONS ? bare : undefined;
  const action = await findChange(change, ACTION_KEY, loop);
  const own = action === undefined ? undefined : await decodeAction(change, action.kv, loop);
  const foreign: Event[] = [];
  for (const event of change.events) {
    if (loop.isDue()) await loop.pause();
    if (isForeign(event, own?.event.node.path)) foreign.push(event);
  }
  const events =
    foreign.length === 0 ? [] : await decodeForeign(engine, { ...change, events: foreign }, { loop, known });
  return own === undefined ? events : [own, ...events];
}

/** The time at which a node is to go, in ms since 1970, where a change tells of one. */
export function expiryIn({ kind, kv }: Event): number | undefined {
  return kind === "put" && kv.key[0] === 0 ? parseExpiryKey(kv.key)?.expires : undefined;
}

async function findChange({ events }: Change, key: Bytes, loop: LongLoop): Promise<Event | undefined> {
  for (const event of events) {
    if (equalBytes(event.kv.key, key)) return event;
    if (loop.isDue()) await loop.pause();
  }
  return undefined;
}

async function decodeAction(change: Change, record: KeyValue, loop: LongLoop): Promise<DecodedEvent> {
  const { action, path: name, at, refresh, node: facts, prev } = readActionRecord(record);
  const path = parsePath(name);
  const file = await findChange(change, keyOfPath(path), loop);
  const node = nodeFrom(path, { created: change.revision, ...facts, modified: change.revision }, file?.kv.value);
  const event: TreeEvent = {
    action,
    node,
    index: change.revision,
    at,
    ...(prev === undefined ? {} : { prevNode: prevNodeFrom(path, prev, file) }),
    ...(refresh === true ? { refresh } : {}),
  };
  const takesBelow = prev?.directory === true && isRemoval(event);
  return { event, removed: takesBelow ? await removedBelow(change, path, loop) : NOTHING_REMOVED };
}

/** What the record knows of the node before; its value comes from the engine, where nobody compacted that away meanwhile. */
function prevNodeFrom(path: TreePath, facts: NodeFacts, file: Event | undefined): TreeNode {
  const node = nodeFrom(path, facts, file?.prevKv?.value);
  const isForgotten = node.kind === "file" && file !== undefined && file.prevKv === undefined;
  return isForgotten ? { ...node, isForgotten } : node;
}

function isRemoval({ action }: TreeEvent): boolean {
  return action === "delete" || action === "expire" || action === "compareAndDelete";
}

function nodeFrom(path: TreePath, facts: NodeFacts, value: Bytes | undefined): TreeNode {
  const common = {
    path,
    createdIndex: facts.created ?? 0,
    modifiedIndex: facts.modified ?? 0,
    ...(facts.expires === undefined ? {} : { expires: facts.expires }),
  };
  return facts.directory ? { kind: "directory", ...common } : { kind: "file", value: value ?? NO_BYTES, ...common };
}

/** Directories that only v3's keys implied go with them. */
async function removedBelow({ events }: Change, directory: TreePath, loop: LongLoop): Promise<ReadonlySet<TreePath>> {
  const removed = new Set<TreePath>();
  for (const { kind, kv } of events) {
    if (loop.isDue()) await loop.pause();
    const place = kind === "delete" ? spaceOf(kv.key) : undefined;
    if (place === undefined || place.space === "file") continue;
    let path = pathOfKey(place.pathBytes);
    while (path !== undefined && isBelow(path, directory) && !removed.has(path)) {
      removed.add(path);
      path = parentOf(path);
    }
  }
  return removed;
}

/** Whether a change of a file is none of the v2 write's at `own`: v3 made it, or the writer's rider. */
function isForeign({ kind, kv }: Event, own: TreePath | undefined): boolean {
  if (kv.key[0] === 0) return false;
  const path = pathOfKey(kv.key);
  if (path === undefined) return false;
  return own === undefined || (path !== own && !(kind === "delete" && isBelow(path, own)));
}

interface Means {
  readonly loop: LongLoop;
  readonly known: BareFiles | undefined;
}

/** v3's put is told as `set`, its delete as `delete`; the side records say what the indices were before. */
async function decodeForeign(engine: Engine, change: Change, means: Means): Promise<readonly DecodedEvent[]> {
  const { revision, events } = change;
  const { loop } = means;
  const records = await sideRecords(engine, change, means);
  const decoded: DecodedEvent[] = [];
  for (const [place, { kind, kv, prevKv }] of events.entries()) {
    if (loop.isDue()) await loop.pause();
    const path = pathOfKey(kv.key);
    if (path === undefined) continue;
    const prevNode = prevKv === undefined ? undefined : fileNode(path, prevKv, records[place]);
    const node =
      kind === "put"
        ? fileNode(path, kv, records[place])
        : nodeFrom(path, { directory: false, created: prevNode?.createdIndex, modified: revision }, undefined);
    const action = kind === "put" ? "set" : "delete";
    const event: TreeEvent = { action, node, index: revision, ...(prevNode === undefined ? {} : { prevNode }) };
    decoded.push({ event, removed: NOTHING_REMOVED });
  }
  return decoded;
}

/** Side records of files that were there before; a new key has none that counts. */
async function sideRecords(
  engine: Engine,
  { revision, events }: Change,
  { loop, known }: Means,
): Promise<readonly (KeyValue | undefined)[]> {
  const records: (KeyValue | undefined)[] = [];
  try {
    for (let from = 0; from < events.length; from += MAX_TXN_OPERATIONS) {
      const part = events.slice(from, from + MAX_TXN_OPERATIONS);
      if (loop.isDue(part.length)) await loop.pause();
      const paths = part.map(({ kv }) => pathOfKey(kv.key) ?? ROOT);
      if (part.some(({ prevKv }, place) => prevKv !== undefined && known?.isBare(paths[place] ?? ROOT) !== true)) {
        const ranges = paths.map((path) => ({ key: fileRecordKey(path) }));
        const { results } = await readRanges(engine, ranges, revision);
        records.push(...results.map((result) => result.kvs[0]));
        for (const [place, path] of paths.entries()) if (results[place]?.kvs.length === 0) known?.note(path);
      } else {
        records.push(...part.map(() => undefined));
      }
    }
    return records;
  } catch (error) {
    // The history was compacted meanwhile: the keys' own revisions are what is left to tell.
    if (error instanceof MusterError && error.code === "compacted") return [];
    throw error;
  }
}

function fileNode(path: TreePath, kv: KeyValue, record: KeyValue | undefined): TreeNode {
  const { createdIndex, expires } = readFileFacts(kv, record);
  const node = { kind: "file", path, value: kv.value, createdIndex, modifiedIndex: kv.modRevision } as const;
  return expires === undefined ? node : { ...node, expires };
}
