/**
 * Waits at a token for its members. A node that waits takes every event for a new member and dies of any other, and takes 401 for
 * the end; so such a wait tells first registrations only, and with an index it is answered from what the token holds
 * where the tree's latest events do not reach back (shared design: Registry).
 */
import { utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { KeyValue, Revision } from "../../engine/model.ts";
import type { FileNode, TreeEvent, TreePath, TreeWatch, TreeWatchRequest } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";
import { childPath } from "../tree/tree-path.ts";
import { LastingWatch, type Opened, openBehind, type Wait } from "./lasting-watch.ts";
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
 * member or the token goes. Where the tree has missed events, the token's state answers for them; and it outlasts a
 * store that is away meanwhile, for an etcd 2.0 whose wait breaks does not ask again.
 */
export async function watchMembers(context: MemberWaitContext, request: TreeWatchRequest): Promise<TreeWatch> {
  const opened = await openMemberWatch(context, request);
  const { index } = opened.live;
  const from = request.waitIndex === undefined || request.waitIndex === 0 ? index + 1 : request.waitIndex;
  return new LastingWatch(new MemberWait(context, { ...request, waitIndex: from }), opened);
}

class MemberWait implements Wait<MemberEvents> {
  readonly #context: MemberWaitContext;
  readonly #request: TreeWatchRequest;
  readonly #from: Revision;
  /** Everything before it has been told, or need not be. */
  #next: Revision;
  /** What need not be told of `#next` itself: one revision may have several members. */
  #passed: TreePath[] = [];

  constructor(context: MemberWaitContext, request: TreeWatchRequest & { readonly waitIndex: Revision }) {
    this.#context = context;
    this.#request = request;
    this.#from = request.waitIndex;
    this.#next = request.waitIndex;
  }

  open(): Promise<MemberEvents> {
    return openMemberWatch(this.#context, { ...this.#request, waitIndex: this.#next });
  }

  async *tell(opened: MemberEvents): AsyncGenerator<TreeEvent> {
    yield* this.#tellKnown(opened);
    yield* this.#tellLive(opened);
  }

  async *#tellKnown({ known }: MemberEvents): AsyncGenerator<TreeEvent> {
    for (const { event, createRevision } of known) {
      if (this.#isPassed(event)) continue;
      const at = { path: event.node.path, createRevision };
      const isNew = (await this.#context.standing.stands(at)) && !(await stoodBefore(this.#context, event, this.#from));
      this.#pass(event);
      if (isNew) yield* tell(this.#context, event, createRevision);
    }
  }

  async *#tellLive({ live, isComplete }: MemberEvents): AsyncGenerator<TreeEvent> {
    let seesAll = isComplete && this.#next === this.#from;
    for await (const event of live) {
      if (takesAway(this.#context.token, event)) return;
      // Whatever else takes a member away has to do with a directory: one above it, or one in its place.
      if (event.node.kind === "directory") seesAll = false;
      if (this.#isPassed(event)) continue;
      const isNew = isFirstRegistration(event) && (await this.#isNew(event, seesAll));
      this.#pass(event);
      if (isNew) yield* tell(this.#context, event, event.index);
    }
  }

  async #isNew(event: TreeEvent, seesAll: boolean): Promise<boolean> {
    const at = { path: event.node.path, createRevision: event.index };
    if (!(await this.#context.standing.stands(at))) return false;
    return seesAll || !(await stoodBefore(this.#context, event, this.#from));
  }

  /** An event that is about to be told, or need not be; only then, for the store may go while it is asked about it. */
  #pass({ index, node }: TreeEvent): void {
    if (index > this.#next) this.#passed = [];
    this.#next = index;
    this.#passed.push(node.path);
  }

  #isPassed({ index, node }: TreeEvent): boolean {
    return index === this.#next && this.#passed.includes(node.path);
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

interface MemberEvents extends Opened {
  readonly known: readonly KnownRegistration[];
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
    const { standing, live } = await openBehind(tree, watch, () => readMembers(engine, token));
    // Who names no index waits for what comes.
    const since = waitIndex === 0 ? [] : standing.members.filter(({ kv }) => kv.createRevision >= waitIndex);
    const known = await Promise.all(since.map((member) => registrationOf(context, member)));
    return { known: known.filter(({ event }) => event.index >= waitIndex), live, isComplete: false };
  }
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

/** How a member was registered first. */
export async function registrationAction(engine: Engine, token: Token, id: string): Promise<"create" | "set"> {
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
