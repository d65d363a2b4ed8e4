/** Waits for one entry below a token, such as a node's for its own: where the tree's latest events do not reach back, what stands answers. */
import { utf8 } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import type { Revision } from "../../engine/model.ts";
import type { TreeEvent, TreeNode, TreePath, TreeWatch, TreeWatchRequest } from "../tree/model.ts";
import { registrationAction, type WaitContext } from "./member-watch.ts";
import { readRegistryPath } from "./token.ts";
import { toldRevisions } from "./told-revisions.ts";

/**
 * A wait below a token that is not for its members, as the tree does it from its latest events; where they do not reach back, it is answered
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
