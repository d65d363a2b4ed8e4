/**
 * Registering as etcd's v3 discovery does: with a plain put. The first one creates the entry; the same one again, as after
 * an answer that was lost, changes nothing. Another value is taken until the token has been complete, for nobody has
 * started with the one before; then the entry is its member's for good.
 */
import { type Bytes, equalBytes, utf8 } from "../../base/bytes.ts";
import { isMusterError, MusterError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import type { Rider, TreePath, WriteCommand } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";
import { childPath } from "../tree/tree-path.ts";
import { type Token, tokenPath } from "./token.ts";
import { hasBeenComplete, type MissingToken, readToken, type TokenState, unchangedRecord } from "./token-state.ts";

export interface V3Registration {
  readonly token: Token;
  readonly id: string;
  readonly value: Bytes;
}

export interface V3RegisterContext {
  readonly engine: Engine;
  readonly tree: Tree;
  /** Creates the entry as a v2 registration does. */
  readonly create: (command: WriteCommand) => Promise<{ readonly index: Revision }>;
  /** What rides on any write to the entry. */
  readonly rider: Rider;
  readonly now: () => number;
}

/**
 * Registers a member; resolves with the store's revision then.
 * Errors: `nodeNotFound` where there is no such token, `readOnly` where the entry is another's, the tree's.
 */
export async function registerByPut(registration: V3Registration, context: V3RegisterContext): Promise<Revision> {
  const path = childPath(tokenPath(registration.token), registration.id);
  try {
    return (await context.create(fileCommand("create", path, registration.value))).index;
  } catch (error) {
    if (!isMusterError(error, "nodeExists")) throw error;
  }
  return (await findSame(path, registration, context)) ?? replace(path, registration, context);
}

/** The store's revision, if the entry stands there with the very value. */
async function findSame(
  path: TreePath,
  { value }: V3Registration,
  { engine }: V3RegisterContext,
): Promise<Revision | undefined> {
  const { revision, kvs } = await engine.range({ key: utf8(path) });
  const [kv] = kvs;
  return kv !== undefined && equalBytes(kv.value, value) ? revision : undefined;
}

async function replace(
  path: TreePath,
  { token, id, value }: V3Registration,
  context: V3RegisterContext,
): Promise<Revision> {
  const { engine, tree, rider, now } = context;
  const guarded: Rider = async (planned) => {
    const state: TokenState | MissingToken = await readToken(engine, token, now());
    if (state.exists && hasBeenComplete(state)) throw takenBy(path, id);
    const ride = await rider(planned);
    return state.exists ? { ...ride, compares: [...ride.compares, unchangedRecord(state)] } : ride;
  };
  return (await tree.write(fileCommand("set", path, value), guarded)).index;
}

function takenBy(path: TreePath, id: string): MusterError {
  return new MusterError(
    "readOnly",
    `Use a token of your own: member "${id}" has another value, and all members are there`,
    {
      details: { path, cause: path },
    },
  );
}

function fileCommand(kind: "create" | "set", path: TreePath, value: Bytes): WriteCommand {
  const write = { path, content: { kind: "file", value }, expiry: { kind: "never" } } as const;
  return kind === "create" ? { kind, ...write } : { kind, ...write, refresh: false };
}
