/**
 * Transactions of v3 clients where they meet the registry: members are read, put, deleted and compared where they are
 * stored, and the answers name them as v3 knows them.
 */
import { MusterError } from "../../base/errors.ts";
import { chooseKeys } from "../../engine/choose-keys.ts";
import type {
  Compare,
  KeyValue,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResult,
  TxnRequest,
} from "../../engine/model.ts";
import { idOfStored, meetsRegistry, memberParts, readV3Members, type V3Members, v3KeyOf } from "./v3-keys.ts";

/** A request as it goes to the store, and how its answer is read back. */
export interface Mapped<Request, Result> {
  readonly request: Request;
  readonly back: (result: Result) => Result;
}

/** Whether any key that a transaction names may lie below the registry's root. */
export function txnMeetsRegistry({ compares, success, failure }: TxnRequest): boolean {
  return compares.some(meetsRegistry) || success.some(operationMeets) || failure.some(operationMeets);
}

function operationMeets(operation: Operation): boolean {
  return operation.kind === "txn" ? txnMeetsRegistry(operation.request) : meetsRegistry(operation.request);
}

/** The range request that reads members where they are stored. */
export function mapRange(members: V3Members, request: RangeRequest): Mapped<RangeRequest, RangeResult> {
  const { token, stored } = members;
  const named = (kv: KeyValue): KeyValue => ({ ...kv, key: v3KeyOf(token, kv.key) });
  if (stored.end === undefined) {
    return {
      request: { ...request, ...stored },
      back: (result) => ({ ...result, kvs: result.kvs.map(named) }),
    };
  }
  const { revision = 0 } = request;
  return {
    request: { ...stored, revision },
    back: (result) => {
      const all = result.kvs.filter(({ key }) => idOfStored(token, key) !== undefined);
      return { revision: result.revision, ...chooseKeys(all.map(named), request) };
    },
  };
}

/** Error: `invalidArgument` for a compare over a range of members, of which their place in the store has no like. */
export function mapTxn(request: TxnRequest): Mapped<TxnRequest, OperationResult> {
  const success = request.success.map(mapOperation);
  const failure = request.failure.map(mapOperation);
  return {
    request: {
      compares: request.compares.map(mapCompare),
      success: success.map(({ request: operation }) => operation),
      failure: failure.map(({ request: operation }) => operation),
    },
    back: (result) => {
      if (result.kind !== "txn") return result;
      const taken = result.succeeded ? success : failure;
      // What rides on a branch stands behind the operations that were asked for.
      const results = taken.flatMap(({ back }, place) => {
        const answered = result.results[place];
        return answered === undefined ? [] : [back(answered)];
      });
      return { ...result, results };
    },
  };
}

function mapCompare(compare: Compare): Compare {
  const members = readV3Members(compare);
  if (members === undefined) return compare;
  const { end, key } = members.stored;
  if (end === undefined) return { ...compare, key };
  throw new MusterError("invalidArgument", "Compare members of a token one by one: a range of them cannot be compared");
}

type PlainOperation = Exclude<Operation, { readonly kind: "txn" }>;

function mapOperation(operation: Operation): Mapped<Operation, OperationResult> {
  if (operation.kind === "txn") {
    const { request, back } = mapTxn(operation.request);
    return { request: { kind: "txn", request }, back };
  }
  const members = meetsRegistry(operation.request) ? readV3Members(operation.request) : undefined;
  return members === undefined ? { request: operation, back: (result) => result } : mapOnMembers(members, operation);
}

function mapOnMembers(members: V3Members, operation: PlainOperation): Mapped<Operation, OperationResult> {
  switch (operation.kind) {
    case "range": {
      const { request, back } = mapRange(members, operation.request);
      return {
        request: { kind: "range", request },
        back: (result) => (result.kind === "range" ? { kind: "range", result: back(result.result) } : result),
      };
    }
    case "put":
      return {
        request: { kind: "put", request: { ...operation.request, ...members.stored } },
        back: (result) =>
          result.kind === "put" && result.prevKv !== undefined
            ? { kind: "put", prevKv: { ...result.prevKv, key: operation.request.key } }
            : result,
      };
    case "deleteRange":
      return mapDeletion(members, operation);
  }
}

function mapDeletion(
  members: V3Members,
  { request }: Extract<Operation, { readonly kind: "deleteRange" }>,
): Mapped<Operation, OperationResult> {
  const deletions = memberParts(members).map(
    (part): Operation => ({
      kind: "deleteRange",
      request: { ...request, ...part },
    }),
  );
  return {
    request: { kind: "txn", request: { compares: [], success: deletions, failure: [] } },
    back: (result) => {
      const parts = result.kind === "txn" ? result.results : [];
      const gone = parts.flatMap((part) => (part.kind === "deleteRange" ? [part] : []));
      return {
        kind: "deleteRange",
        deleted: gone.reduce((sum, { deleted }) => sum + deleted, 0),
        prevKvs: gone.flatMap(({ prevKvs }) => prevKvs.map((kv) => ({ ...kv, key: v3KeyOf(members.token, kv.key) }))),
      };
    },
  };
}
