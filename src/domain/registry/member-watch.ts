/**
 * Waits below a token. A node that waits takes every event for a new member and dies of any other, and takes 401 for
 * the end; so a recursive wait at a token tells first registrations only, and a wait with an index is answered from
 * what the token holds where the tree's latest events do not reach back (shared design: Registry).
 */
import { utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import type { FileNode, TreeEvent, TreeNode, TreePath, TreeWatch, TreeWatchRequest } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";
import { childPath } from "../tree/tree-path.ts";
import { memberRecordKey, readMemberRecord } from "./registry-layout.ts";
import type { Standing } from "./standing.ts";
import { readRegistryPath, type Token, tokenPath } from "./token.ts";
import { readMembers, type StoredMember } from "./token-state.ts";
import { toldRevisions } from "./told-revisions.ts";

export interface WaitContext {
  readonly engine: Engine;
  readonly tree: Tree;
  readonly token: Token;
  readonly standing: Standing;
}

/** A recursive wait's. */
export interface MemberWaitContext extends WaitContext {
  /** Hears of each registration that is about to be told: at which revision of the store it was made. */
  readonly onTold: (revision: Revision) => void;
}

/**
 * A recursive wait at a token: every member that is still there, in order of first registration, from `waitIndex` on,
 * less those that whoever waits must know already because they stood just before. It ends without an event when a
 * member or the token goes. Where the tree has missed events, the token's state answers for them.
 */
export async function watchMembers(context: MemberWaitContext, request: TreeWatchRequest): Promise<TreeWatch> {
  const opened = await openMemberWatch(context, request);
  const { index } = opened.live;
  const from = request.waitIndex === undefined || request.waitIndex === 0 ? index + 1 : request.waitIndex;
  return new MemberWatch(context, opened, { ...request, waitIndex: from });
}

class MemberWatch implements TreeWatch {
  readonly index: Revision;
  readonly #context: MemberWaitContext;
  readonly #request: TreeWatchRequest;
  readonly #from: Revision;
  #opened: MemberEvents;
  /** Everything before it has been told, or need not be. */
  #next: Revision;
  #closed = false;

  constructor(
    context: MemberWaitContext,
    opened: MemberEvents,
    request: TreeWatchRequest & { readonly waitIndex: Revision },
  ) {
    this.index = opened.live.index;
    this.#context = context;
    this.#request = request;
    this.#from = request.waitIndex;
    this.#next = request.waitIndex;
    this.#opened = opened;
  }

  close(): void {
    this.#closed = true;
    this.#opened.live.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TreeEvent> {
    try {
      while (!this.#closed) {
        try {
          yield* this.#tellKnown();
          yield* this.#tellLive();
          return;
        } catch (error) {
          if (!isMusterError(error, "eventIndexCleared") || this.#closed) throw error;
        }
        this.#opened = await openMemberWatch(this.#context, { ...this.#request, waitIndex: this.#next });
      }
    } finally {
      this.close();
    }
  }

  async *#tellKnown(): AsyncGenerator<TreeEvent> {
    for (const { event, createRevision } of this.#opened.known) {
      const at = { path: event.node.path, createRevision };
      const isNew = (await this.#context.standing.stands(at)) && !(await stoodBefore(this.#context, event, this.#from));
      this.#next = event.index + 1;
      if (isNew) yield* tell(this.#context, event, createRevision);
    }
  }

  async *#tellLive(): AsyncGenerator<TreeEvent> {
    const { live, isComplete } = this.#opened;
    let seesAll = isComplete && this.#next === this.#from;
    for await (const event of live) {
      if (takesAway(this.#context.token, event)) return;
      // Whatever else takes a member away has to do with a directory: one above it, or one in its place.
      if (event.node.kind === "directory") seesAll = false;
      this.#next = event.index + 1;
      const at = { path: event.node.path, createRevision: event.index };
      if (!(isFirstRegistration(event) && (await this.#context.standing.stands(at)))) continue;
      if (seesAll || !(await stoodBefore(this.#context, event, this.#from))) {
        yield* tell(this.#context, event, event.index);
      }
    }
  }
}

function* tell({ onTold }: MemberWaitContext, event: TreeEvent, revision: Revision): Generator<TreeEvent> {
  onTold(revision);
  yield event;
}

/** The registration of a member that is there, as it is told: in a store that was moved, by the index of before. */
interface KnownRegistration {
  readonly event: TreeEvent;
  readonly createRevision: Revision;
}

interface MemberEvents {
  readonly known: readonly KnownRegistration[];
  readonly live: TreeWatch;
  /** Whether `live` has every event from the wait's index on. */
  readonly isComplete: boolean;
}

/** From the tree's latest events where they reach back to the index; else from the members, then from now on. */
async function openMemberWatch(context: WaitContext, { waitIndex = 0 }: TreeWatchRequest): Promise<MemberEvents> {
  const { tree, engine, token } = context;
  const watch = { path: tokenPath(token), recursive: true, recentOnly: true, owner: token };
  try {
    return { known: [], live: await tree.watch({ ...watch, waitIndex }), isComplete: true };
  } catch (error) {
    if (!isMusterError(error, "eventIndexCleared")) throw error;
    const { revision, members } = await readMembers(engine, token);
    const live = await tree.watch({ ...watch, waitIndex: revision + 1 });
    const since = members.filter(({ kv }) => kv.createRevision >= waitIndex);
    const known = await Promise.all(since.map((member) => registrationOf(context, member)));
    return { known: known.filter(({ event }) => event.index >= waitIndex), live, isComplete: false };
  }
}

/**
 * Any other wait below a token, as the tree does it from its latest events; where they do not reach back, it is answered
 * from the entry itself. Nodes wait so for their own entry, whose index may be long past.
 */
export async function watchEntry(context: WaitContext, request: TreeWatchRequest): Promise<TreeWatch> {
  const { tree, token } = context;
  const recent = { ...request, recentOnly: true, owner: token };
  try {
    return await tree.watch(recent);
  } catch (error) {
    if (!isMusterError(error, "eventIndexCleared")) throw error;
    const standing = await lastChange(context, request.path);
    const known =
      standing.event !== undefined && standing.event.index >= (request.waitIndex ?? 0) ? standing.event : undefined;
    return startingWith(known, await tree.watch({ ...recent, waitIndex: standing.index + 1 }));
  }
}

function startingWith(known: TreeEvent | undefined, live: TreeWatch): TreeWatch {
  return {
    index: live.index,
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

/** The entry as it stands, as the event of its last change; no event where there is none. */
async function lastChange(
  context: WaitContext,
  path: TreePath,
): Promise<{ readonly index: Revision; readonly event: TreeEvent | undefined }> {
  const { engine, tree, token } = context;
  try {
    const { node, index } = await tree.get(path, { recursive: false, sorted: false });
    const target = readRegistryPath(path);
    if (target.kind !== "member") return { index, event: { action: "set", node, index: node.modifiedIndex } };
    const action = await registrationAction(engine, token, target.id);
    const modifiedIndex = await lastTold(context, target.id, node);
    return { index, event: { action, node: { ...node, modifiedIndex }, index: modifiedIndex } };
  } catch (error) {
    if (!isMusterError(error, "nodeNotFound")) throw error;
    return { index: Number(error.details.index), event: undefined };
  }
}

async function lastTold(
  { engine, token }: WaitContext,
  id: string,
  { path, modifiedIndex }: TreeNode,
): Promise<Revision> {
  const { kvs } = await engine.range({ key: utf8(path), keysOnly: true });
  const [kv] = kvs;
  if (kv === undefined || kv.modRevision !== modifiedIndex) return modifiedIndex;
  return (await toldRevisions(engine, token, { id, kv })).last;
}

function isFirstRegistration(event: TreeEvent): boolean {
  if (event.action !== "create" && event.action !== "set") return false;
  if (event.prevNode !== undefined || event.node.kind !== "file") return false;
  return readRegistryPath(event.node.path).kind === "member";
}

/**
 * Whether the token, or a member of it, goes. Whoever waits may have counted that member already, and would start a
 * cluster with it: its wait is cut, for a node whose connection breaks reads the list afresh (etcd 2.1 to 3.6,
 * discovery.go: waitNodesRetry).
 */
function takesAway(token: Token, { action, node }: TreeEvent): boolean {
  if (action !== "delete" && action !== "compareAndDelete" && action !== "expire") return false;
  const target = readRegistryPath(node.path);
  return node.path === tokenPath(token) || (target.kind === "member" && node.kind === "file");
}

/**
 * Whether the member of a registration was there already when the wait's index had not come, so that whoever waits knows
 * it. Who has seen every event since need not ask: a member that goes ends the wait.
 */
async function stoodBefore({ engine }: WaitContext, { node }: TreeEvent, from: Revision): Promise<boolean> {
  if (from <= 1) return false;
  try {
    const { kvs } = await engine.range({ key: utf8(node.path), revision: from - 1 });
    return kvs.length > 0;
  } catch (error) {
    // What stood so long ago nobody knows: a node that hears of a member twice starts again, one that never hears waits.
    if (isMusterError(error, "compacted")) return false;
    throw error;
  }
}

/** The event by which a member that is still there first registered: its first index, its value of now. */
async function registrationOf({ engine, token }: WaitContext, { id, kv }: StoredMember): Promise<KnownRegistration> {
  const { first } = await toldRevisions(engine, token, { id, kv });
  const event: TreeEvent = {
    action: await registrationAction(engine, token, id),
    node: firstNode(childPath(tokenPath(token), id), { ...kv, createRevision: first }),
    index: first,
  };
  return { event, createRevision: kv.createRevision };
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
