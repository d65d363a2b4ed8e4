/** Answers to KV requests in etcd's messages. A key-value is the same on both sides. */
import { compareBytes, NO_BYTES } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { KeyValue, OperationResult, RangeResult, Revision, SortTarget, TxnResult } from "../../engine/model.ts";
import type * as wire from "../../proto/etcdserverpb.ts";
import { innerHeader } from "./header.ts";
import { isSortedAfterLimit, sortOf } from "./kv-requests.ts";

/** The answer to a range, under a header. */
export function rangeResponse(
  header: wire.ResponseHeader,
  request: wire.RangeRequest,
  { kvs, more, count }: RangeResult,
): wire.RangeResponse {
  if (!isSortedAfterLimit(request)) return { header, kvs, more, count };
  const target = sortOf(request)?.target ?? "key";
  const sorted = [...kvs].sort(ORDERS[target]).slice(0, request.limit);
  return {
    header,
    kvs: request.keysOnly ? sorted.map((kv) => ({ ...kv, value: NO_BYTES })) : sorted,
    more: kvs.length > request.limit,
    count,
  };
}

const ORDERS = {
  key: (a, b) => compareBytes(a.key, b.key),
  value: (a, b) => compareBytes(a.value, b.value),
  version: (a, b) => a.version - b.version,
  createRevision: (a, b) => a.createRevision - b.createRevision,
  modRevision: (a, b) => a.modRevision - b.modRevision,
} satisfies Record<SortTarget, (a: KeyValue, b: KeyValue) => number>;

/** The answer to a transaction, under a header. */
export function txnResponse(
  header: wire.ResponseHeader,
  request: wire.TxnRequest,
  result: TxnResult,
): wire.TxnResponse {
  const branch = result.succeeded ? request.success : request.failure;
  const answers = new TxnAnswers(result);
  return { header, succeeded: result.succeeded, responses: answers.of(branch, result.results) };
}

/** The answers to the operations of a transaction: each tells the revision as it was when its turn came. */
class TxnAnswers {
  readonly #after: Revision;
  #now: Revision;

  constructor({ revision, results }: TxnResult) {
    this.#after = revision;
    this.#now = changesAnything(results) ? revision - 1 : revision;
  }

  of(operations: readonly wire.RequestOp[], results: readonly OperationResult[]): wire.ResponseOp[] {
    return results.map((result, place) => ({ response: this.#one(operations[place]?.request, result) }));
  }

  #one(request: wire.RequestOp["request"], result: OperationResult): wire.ResponseOp["response"] {
    switch (result.kind) {
      case "range": {
        if (request?.$case !== "requestRange") throw mismatch(result);
        const header = innerHeader(result.result.revision);
        return { $case: "responseRange", value: rangeResponse(header, request.value, result.result) };
      }
      case "put":
        this.#now = this.#after;
        return { $case: "responsePut", value: { header: innerHeader(this.#now), prevKv: result.prevKv } };
      case "deleteRange": {
        const { deleted, prevKvs } = result;
        if (deleted > 0) this.#now = this.#after;
        return { $case: "responseDeleteRange", value: { header: innerHeader(this.#now), deleted, prevKvs } };
      }
      case "txn": {
        if (request?.$case !== "requestTxn") throw mismatch(result);
        const { succeeded, results } = result;
        const branch = succeeded ? request.value.success : request.value.failure;
        return {
          $case: "responseTxn",
          value: { header: innerHeader(0), succeeded, responses: this.of(branch, results) },
        };
      }
    }
  }
}

function changesAnything(results: readonly OperationResult[]): boolean {
  return results.some(
    (result) =>
      result.kind === "put" ||
      (result.kind === "deleteRange" && result.deleted > 0) ||
      (result.kind === "txn" && changesAnything(result.results)),
  );
}

function mismatch({ kind }: OperationResult): MusterError {
  return new MusterError("internal", `Report this defect: an operation was answered as if it were a ${kind}`);
}
