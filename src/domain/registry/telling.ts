/** What the log says of writes below tokens: who registered, and which tokens somebody made, changed or took away by hand. */
import { compareBytes, prefixEnd, text, utf8 } from "../../base/bytes.ts";
import { type Log, shortToken } from "../../base/log.ts";
import { covers } from "../../engine/key-range.ts";
import type { DeleteRangeRequest, Operation, OperationResult } from "../../engine/model.ts";
import type { TreeEvent, WriteCommand } from "../tree/model.ts";
import { childPath, isBelow } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { REGISTRY_ROOT, type RegistryPath, readRegistryPath, sizePath, type Token, tokenPath } from "./token.ts";
import type { MissingToken, TokenState } from "./token-state.ts";
import { meetsRegistry, pathOfStored, tokenOfKey } from "./v3-keys.ts";
import type { V3Write } from "./v3-rides.ts";

type InToken = Exclude<RegistryPath, { readonly kind: "outside" }>;

/** A line about a token. */
interface Line {
  readonly token: Token;
  readonly member?: string;
  readonly size?: string;
  readonly message: string;
}

export class Telling {
  readonly #log: Log;
  readonly #who: Pick<Origin, "protocol" | "address" | "host">;

  /** Tells of what a request of this origin did. */
  constructor(log: Log, { protocol, address, host }: Origin) {
    this.#log = log;
    this.#who = { protocol, address, host };
  }

  /** A v2 write below a token was done. */
  event(event: TreeEvent, target: InToken): void {
    const line = lineOfEvent(event, target);
    if (line !== undefined) this.#tell(line);
  }

  /** A registration was made again, and answered with the first. */
  repeated({ token, ...target }: InToken): void {
    const member = target.kind === "member" ? { member: target.id } : {};
    this.#tell({ token, ...member, message: "registration repeated: answered with the first" });
  }

  /** A v2 command that took all tokens away was done. */
  allDeleted(): void {
    this.#log.info(this.#who, "all tokens deleted");
  }

  /** The writes of a v3 transaction were done; `states`: the tokens as they stood before it. */
  writes(states: readonly (TokenState | MissingToken)[], writes: readonly V3Write[]): void {
    for (const write of writes) {
      const state = states.find(({ token }) => token === write.token);
      if (state === undefined || write.isUncertain) continue;
      for (const line of linesOfWrite(state, write)) this.#tell(line);
    }
  }

  /** The operations of a v3 transaction were done: deletions may have gone over many tokens. */
  deletions(operations: readonly Operation[], results: readonly OperationResult[]): void {
    for (const [place, operation] of operations.entries()) {
      const result = results[place];
      if (operation.kind !== "deleteRange" || result?.kind !== "deleteRange" || result.deleted === 0) continue;
      if (!isWide(operation.request)) continue;
      this.#log.info({ keys: result.deleted, ...this.#who }, "keys deleted over a range that takes in tokens");
    }
  }

  #tell({ message, token, ...fields }: Line): void {
    this.#log.info({ token: shortToken(token), ...fields, ...this.#who }, message);
  }
}

/** Whether a v2 command deletes the registry, or something above it. */
export function takesAllTokens({ kind, path }: WriteCommand): boolean {
  return kind === "delete" && (path === REGISTRY_ROOT || isBelow(REGISTRY_ROOT, path));
}

function lineOfEvent({ action, node, prevNode }: TreeEvent, target: InToken): Line | undefined {
  const { token } = target;
  if (target.kind === "member") return { token, member: target.id, message: `member ${action}` };
  if (action === "delete" || action === "compareAndDelete") {
    const size = sizePath(token);
    return size === node.path || isBelow(size, node.path) ? { token, message: "token deleted" } : undefined;
  }
  if (target.kind === "token" && action === "update") return { token, message: "token's time to live set" };
  if (target.kind !== "size" || node.kind !== "file") return undefined;
  return { token, size: text(node.value), message: prevNode === undefined ? "token made by hand" : "token's size set" };
}

function linesOfWrite(state: TokenState | MissingToken, { operation }: V3Write): readonly Line[] {
  if (operation.kind === "deleteRange") return linesOfDeletion(state, operation.request);
  const { token } = state;
  const { key, value, ignoreValue } = operation.request;
  const target = readRegistryPath(pathOfStored(key));
  if (target.kind === "member") return [{ token, member: target.id, message: "member set" }];
  if (target.kind !== "size" || ignoreValue === true) return [];
  return [{ token, size: text(value), message: state.exists ? "token's size set" : "token made by hand" }];
}

function linesOfDeletion(state: TokenState | MissingToken, range: DeleteRangeRequest): readonly Line[] {
  if (!state.exists) return [];
  const { token, members } = state;
  if (covers(range, utf8(sizePath(token)))) return [{ token, message: "token deleted" }];
  return members
    .filter(({ id }) => covers(range, utf8(childPath(tokenPath(token), id))))
    .map(({ id }) => ({ token, member: id, message: "member delete" }));
}

/** Whether a deletion goes over more than what the name of one token begins. */
function isWide(range: DeleteRangeRequest): boolean {
  const { key, end } = range;
  if (end === undefined || !meetsRegistry(range)) return false;
  const token = tokenOfKey(key);
  const last = token === undefined ? null : prefixEnd(utf8(tokenPath(token)));
  return last === null || end === null || compareBytes(end, last) > 0;
}
