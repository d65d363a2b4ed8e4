/** Waits for one entry below a token, such as a node's for its own: where the tree's latest events do not reach back, what stands answers. */
import { utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreeEvent, TreeNode, TreePath, TreeWatch, TreeWatchRequest } from "../tree/model.ts";
import { LastingWatch, type Opened, openBehind, type Wait } from "./lasting-watch.ts";
import { registrationAction, type WaitContext } from "./member-watch.ts";
import { readRegistryPath } from "./token.ts";
import { toldRevisions } from "./told-revisions.ts";

/**
 * A wait below a token that is not for its members, as the tree does it from its latest events; where they do not reach back, it is answered
 * from the entry itself. Nodes wait so for their own entry, whose index may be long past, and die of a 401: so it
 * outlasts missed changes and a store that is away, too.
 */
export async function watchEntry(context: WaitContext, request: TreeWatchRequest): Promise<TreeWatch> {
  const opened = await openEntryWatch(context, request);
  const { waitIndex = 0 } = request;
  const from = waitIndex === 0 ? opened.live.index + 1 : waitIndex;
  return new LastingWatch(new EntryWait(context, { ...request, waitIndex: from }), opened);
}

interface EntryEvents extends Opened {
  /** What the entry itself says of changes that the tree does not know any more. */
  readonly known: TreeEvent | undefined;
}

class EntryWait implements Wait<EntryEvents> {
  readonly #context: WaitContext;
  readonly #request: TreeWatchRequest;
  /** Everything before it has been told, or need not be. */
  #next: Revision;

  constructor(context: WaitContext, request: TreeWatchRequest & { readonly waitIndex: Revision }) {
    this.#context = context;
    this.#request = request;
    this.#next = request.waitIndex;
  }

  open(): Promise<EntryEvents> {
    return openEntryWatch(this.#context, { ...this.#request, waitIndex: this.#next });
  }

  async *tell({ known, live }: EntryEvents): AsyncGenerator<TreeEvent> {
    if (known !== undefined) yield this.#pass(known);
    for await (const event of live) yield this.#pass(event);
  }

  #pass(event: TreeEvent): TreeEvent {
    this.#next = event.index + 1;
    return event;
  }
}

async function openEntryWatch(context: WaitContext, request: TreeWatchRequest): Promise<EntryEvents> {
  const { tree, token } = context;
  const { waitIndex = 0 } = request;
  const recent = { ...request, recentOnly: true, owner: token };
  try {
    return { known: undefined, live: await tree.watch(recent) };
  } catch (error) {
    if (!isMusterError(error, "eventIndexCleared")) throw error;
    const { standing, live } = await openBehind(tree, recent, () => lastChange(context, request.path));
    const { event } = standing;
    // Who names no index waits for what comes.
    const isAwaited = event !== undefined && waitIndex > 0 && event.index >= waitIndex;
    return { known: isAwaited ? event : undefined, live };
  }
}

/** The entry as it stands, as the event of its last change; no event where there is none. */
async function lastChange(
  context: WaitContext,
  path: TreePath,
): Promise<{ readonly revision: Revision; readonly event: TreeEvent | undefined }> {
  const { engine, tree, token } = context;
  try {
    const { node, index: revision } = await tree.get(path, { recursive: false, sorted: false });
    const target = readRegistryPath(path);
    if (target.kind !== "member") return { revision, event: { action: "set", node, index: node.modifiedIndex } };
    const action = await registrationAction(engine, token, target.id);
    const modifiedIndex = await lastTold(context, target.id, node);
    return { revision, event: { action, node: { ...node, modifiedIndex }, index: modifiedIndex } };
  } catch (error) {
    if (!isMusterError(error, "nodeNotFound")) throw error;
    return { revision: Number(error.details.index), event: undefined };
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
