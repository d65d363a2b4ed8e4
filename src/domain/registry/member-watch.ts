/**
 * Waits below a token. A node that waits takes every event for a new member and dies of any other, and takes 401 for
 * the end; so a recursive wait at a token tells first registrations only, and a wait with an index is answered from
 * what the token holds, however much history is gone (shared design: Registry).
 */
import { utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import type { FileNode, TreeEvent, TreePath, TreeWatch, TreeWatchRequest } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";
import { childPath } from "../tree/tree-path.ts";
import { memberRecordKey, readMemberRecord } from "./registry-layout.ts";
import { readRegistryPath, type Token, tokenPath } from "./token.ts";
import type { TokenState } from "./token-state.ts";

export interface WaitContext {
  readonly engine: Engine;
  readonly tree: Tree;
  readonly state: TokenState;
}

/** A recursive wait at a token: every member once, in order of first registration, from `waitIndex` on. */
export async function watchMembers(
  { engine, tree, state }: WaitContext,
  request: TreeWatchRequest,
): Promise<TreeWatch> {
  const path = tokenPath(state.token);
  const live = await tree.watch({ path, recursive: true, waitIndex: state.revision + 1 });
  const from = request.waitIndex ?? 0;
  const known = from === 0 ? [] : state.members.filter((member) => member.kv.createRevision >= from);
  return {
    index: state.revision,
    close: () => live.close(),
    async *[Symbol.asyncIterator]() {
      try {
        for (const { id, kv } of known) yield await registrationOf(engine, { token: state.token, id, kv });
        for await (const event of live) {
          if (event.node.modifiedIndex >= from && isFirstRegistration(event)) yield event;
        }
      } finally {
        live.close();
      }
    },
  };
}

/**
 * Any other wait below a token, as the tree does it; but where its history is gone, or the entry was put only once, it
 * is answered from the entry itself. Nodes wait so for their own entry, whose index may be long past.
 */
export async function watchEntry({ engine, tree, state }: WaitContext, request: TreeWatchRequest): Promise<TreeWatch> {
  const from = request.waitIndex ?? 0;
  if (from === 0 || from > state.revision) return tree.watch(request);
  const entry = await entryAt(engine, request.path, state.revision);
  const changed = entry !== undefined && entry.modRevision >= from;
  if (changed && entry.version === 1)
    return startingWith(await lastChange({ engine, tree, state }, request.path), { tree, state, request });
  try {
    return await tree.watch(request);
  } catch (error) {
    if (!isMusterError(error, "eventIndexCleared")) throw error;
    const known = changed ? await lastChange({ engine, tree, state }, request.path) : undefined;
    return startingWith(known, { tree, state, request });
  }
}

async function startingWith(
  known: TreeEvent | undefined,
  { tree, state, request }: { readonly tree: Tree; readonly state: TokenState; readonly request: TreeWatchRequest },
): Promise<TreeWatch> {
  const live = await tree.watch({ ...request, waitIndex: state.revision + 1 });
  return {
    index: state.revision,
    close: () => live.close(),
    async *[Symbol.asyncIterator]() {
      try {
        if (known !== undefined) yield known;
        yield* live;
      } finally {
        live.close();
      }
    },
  };
}

async function entryAt(engine: Engine, path: TreePath, revision: Revision): Promise<KeyValue | undefined> {
  const { kvs } = await engine.range({ key: utf8(path), revision });
  return kvs[0];
}

async function lastChange({ engine, tree, state }: WaitContext, path: TreePath): Promise<TreeEvent> {
  const { node } = await tree.get(path, { recursive: false, sorted: false });
  const target = readRegistryPath(path);
  const action = target.kind === "member" ? await registrationAction(engine, state.token, target.id) : "set";
  return { action, node, index: node.modifiedIndex };
}

function isFirstRegistration(event: TreeEvent): boolean {
  if (event.action !== "create" && event.action !== "set") return false;
  if (event.prevNode !== undefined || event.node.kind !== "file") return false;
  return readRegistryPath(event.node.path).kind === "member";
}

/** The event by which a member that is still there first registered: its first index, its value of now. */
async function registrationOf(
  engine: Engine,
  { token, id, kv }: { readonly token: Token; readonly id: string; readonly kv: KeyValue },
): Promise<TreeEvent> {
  return {
    action: await registrationAction(engine, token, id),
    node: firstNode(childPath(tokenPath(token), id), kv),
    index: kv.createRevision,
  };
}

async function registrationAction(engine: Engine, token: Token, id: string): Promise<"create" | "set"> {
  const { kvs } = await engine.range({ key: memberRecordKey(token, id) });
  const [kv] = kvs;
  return kv === undefined ? "set" : readMemberRecord(kv.key, kv.value).action;
}

/** A member as it stood after its first registration. */
export function firstNode(path: TreePath, kv: KeyValue): FileNode {
  return {
    kind: "file",
    path,
    value: kv.value,
    createdIndex: kv.createRevision,
    modifiedIndex: kv.createRevision,
  };
}
