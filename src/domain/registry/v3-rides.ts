/**
 * What rides on a v3 transaction that writes below tokens: for each token what `registration.ts` works out for a v2
 * write, one write after the other.
 */
import { utf8 } from "../../base/bytes.ts";
import { keyName } from "../../engine/key-name.ts";
import { covers } from "../../engine/key-range.ts";
import type { KeyRange, Operation, PutRequest } from "../../engine/model.ts";
import type { FileNode, TreeEvent } from "../tree/model.ts";
import { childPath } from "../tree/tree-path.ts";
import type { Origin } from "./origin.ts";
import { changeOf, forgetToken, type Lifetime } from "./registration.ts";
import { type TokenRecord, tokenRecordKey, writeRecord } from "./registry-layout.ts";
import { readRegistryPath, sizePath, type Token, tokenPath } from "./token.ts";
import type { TokenState } from "./token-state.ts";
import { meetsRegistry, pathOfStored, tokenOfKey } from "./v3-keys.ts";

/** A write of a transaction below a token. */
export interface V3Write {
  readonly token: Token;
  readonly operation: Extract<Operation, { readonly kind: "put" | "deleteRange" }>;
  /**
   * It stands in a nested transaction: whether it is done only the store will know. The token's record is written in any
   * case then, which makes a revision.
   */
  readonly isUncertain: boolean;
}

/**
 * The writes below tokens in a list of operations. A deletion counts for the tokens in which its range begins and ends;
 * those in between go whole, and a record that is left of one says nothing (see registry-layout.ts).
 */
export function writesBelowTokens(operations: readonly Operation[], isUncertain = false): readonly V3Write[] {
  return operations.flatMap((operation): readonly V3Write[] => {
    if (operation.kind === "range") return [];
    if (operation.kind === "txn") {
      const { success, failure } = operation.request;
      const isDeletion = failure.length === 0 && operation.request.compares.length === 0;
      return writesBelowTokens([...success, ...failure], isUncertain || !isDeletion);
    }
    if (!meetsRegistry(operation.request)) return [];
    const tokens = operation.kind === "put" ? [tokenOfKey(operation.request.key)] : edgesOf(operation.request);
    return tokens.flatMap((token) => (token === undefined ? [] : [{ token, operation, isUncertain }]));
  });
}

function edgesOf({ key, end }: KeyRange): readonly (Token | undefined)[] {
  const first = tokenOfKey(key);
  const last = end === undefined || end === null ? undefined : tokenOfKey(end);
  return last === first ? [first] : [first, last];
}

export interface V3RideContext {
  readonly origin: Origin;
  readonly lifetime: Lifetime;
}

/** What is to be written besides `writes`, which are all below this token and done in this order. */
export function rideOn(state: TokenState, writes: readonly V3Write[], context: V3RideContext): readonly Operation[] {
  const { token } = state;
  const size = utf8(sizePath(token));
  if (writes.some((write) => isCertainDeletion(write) && covers(write.operation.request, size))) {
    return forgetToken(token);
  }
  const riding = new Riding(state, context);
  for (const { operation } of writes) {
    if (operation.kind === "put") riding.put(operation.request);
    else riding.remove(operation.request);
  }
  return riding.operations(writes.some(({ isUncertain }) => isUncertain));
}

function isCertainDeletion({ operation, isUncertain }: V3Write): boolean {
  return operation.kind === "deleteRange" && !isUncertain;
}

/** A token's record and its members, as they become write by write. */
class Riding {
  readonly #state: TokenState;
  readonly #context: V3RideContext;
  readonly #operations = new Map<string, Operation>();
  #members: readonly string[];
  #record: TokenRecord | undefined;

  constructor(state: TokenState, context: V3RideContext) {
    this.#state = state;
    this.#context = context;
    this.#members = state.members.map(({ id }) => id);
    this.#record = state.record;
  }

  put({ key, value }: PutRequest): void {
    const path = pathOfStored(key);
    const target = readRegistryPath(path);
    const node: FileNode = { kind: "file", path, value, createdIndex: 0, modifiedIndex: 0 };
    const isThere = target.kind === "member" && this.#members.includes(target.id);
    this.#apply({ action: "set", node, ...(isThere ? { prevNode: node } : {}), index: 0 });
    if (target.kind === "member" && !isThere) this.#members = [...this.#members, target.id];
  }

  remove(range: KeyRange): void {
    for (const id of this.#members) {
      const path = childPath(tokenPath(this.#state.token), id);
      if (!covers(range, utf8(path))) continue;
      const node: FileNode = { kind: "file", path, value: new Uint8Array(), createdIndex: 0, modifiedIndex: 0 };
      this.#apply({ action: "delete", node, prevNode: node, index: 0 });
      this.#members = this.#members.filter((other) => other !== id);
    }
  }

  /** Where writes are uncertain, nothing is concluded from their number: the next write counts. */
  operations(isUncertain: boolean): readonly Operation[] {
    if (!isUncertain || this.#record === undefined) return [...this.#operations.values()];
    const { record, size, members, token } = this.#state;
    const complete = record?.complete === true || (size !== undefined && members.length >= size);
    const value = writeRecord({ ...this.#record, complete, members: undefined });
    this.#keep({ kind: "put", request: { key: tokenRecordKey(token), value } });
    return [...this.#operations.values()];
  }

  #apply(planned: TreeEvent): void {
    const { token, size } = this.#state;
    const target = readRegistryPath(planned.node.path);
    const state = { token, size, record: this.#record };
    const { written, operations } = changeOf({ state, members: this.#members, target, planned, ...this.#context });
    this.#record = written?.record;
    for (const operation of operations) this.#keep(operation);
  }

  /** The last write of a key is the one that is done. */
  #keep(operation: Operation): void {
    if (operation.kind === "put" || operation.kind === "deleteRange") {
      this.#operations.set(keyName(operation.request.key), operation);
    }
  }
}
