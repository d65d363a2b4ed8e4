import type { z } from "zod";
import { type Bytes, compareBytes } from "../../src/base/bytes.ts";
import {
  type Compare,
  type Event,
  type KeyRange,
  type KeyValue,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutRequest,
  type RangeRequest,
  type RangeResult,
  type Revision,
  type TxnRequest,
} from "../../src/engine/model.ts";
import type { rangeResponse, WireKeyValue, WireResponseOp, WireWatchResponse } from "./etcd-wire.ts";

const ZERO = Uint8Array.of(0);
const ONE = Uint8Array.of(1);

/**
 * Between the model and etcd's messages. An etcd's revisions go on from test to test; a test's own begin at 1, which is
 * the etcd's revision `base`. 0 (none) stays 0 on both sides.
 */
export class EtcdConvert {
  readonly base: Revision;

  constructor(base: Revision) {
    this.base = base;
  }

  toWire(revision: Revision | undefined): Revision {
    return revision === undefined || revision === 0 ? 0 : revision + this.base - 1;
  }

  fromWire(revision: Revision): Revision {
    return revision === 0 ? 0 : revision - this.base + 1;
  }

  range(request: RangeRequest): object {
    return {
      ...wireRange(request),
      limit: request.limit ?? 0,
      revision: this.toWire(request.revision),
      sort_order: request.sort === undefined ? "NONE" : SORT_ORDERS[request.sort.order],
      sort_target: SORT_TARGETS[request.sort?.target ?? "key"],
      keys_only: request.keysOnly ?? false,
      count_only: request.countOnly ?? false,
      min_mod_revision: this.toWire(request.minModRevision),
      max_mod_revision: this.toWire(request.maxModRevision),
      min_create_revision: this.toWire(request.minCreateRevision),
      max_create_revision: this.toWire(request.maxCreateRevision),
    };
  }

  txn(request: TxnRequest): object {
    return {
      compare: request.compares.map((compare) => this.#compare(compare)),
      success: request.success.map((operation) => this.#operation(operation)),
      failure: request.failure.map((operation) => this.#operation(operation)),
    };
  }

  rangeResult(response: z.output<typeof rangeResponse>): RangeResult {
    return {
      revision: this.fromWire(response.header.revision),
      kvs: response.kvs.map((kv) => this.keyValue(kv)),
      more: response.more,
      count: response.count,
    };
  }

  operationResult(response: WireResponseOp): OperationResult {
    if (response.response_range) {
      return { kind: "range", result: this.rangeResult(response.response_range) };
    }
    if (response.response_put) {
      return { kind: "put", prevKv: this.#maybe(response.response_put.prev_kv) };
    }
    if (response.response_delete_range) {
      const { deleted, prev_kvs } = response.response_delete_range;
      return { kind: "deleteRange", deleted, prevKvs: prev_kvs.map((kv) => this.keyValue(kv)) };
    }
    if (response.response_txn) {
      const { succeeded, responses } = response.response_txn;
      return { kind: "txn", succeeded, results: responses.map((nested) => this.operationResult(nested)) };
    }
    throw new Error("etcd answered an operation with nothing");
  }

  keyValue(kv: WireKeyValue): KeyValue {
    return {
      key: kv.key,
      value: kv.value,
      createRevision: this.fromWire(kv.create_revision),
      modRevision: this.fromWire(kv.mod_revision),
      version: kv.version,
      lease: kv.lease,
    };
  }

  /** The events of an answer, less those from before the test's own time. */
  events(response: WireWatchResponse): readonly Event[] {
    return response.events
      .filter(({ kv }) => kv.mod_revision > this.base)
      .map(({ type, kv, prev_kv }) => ({
        kind: type === "PUT" ? "put" : "delete",
        kv: this.keyValue(kv),
        prevKv: this.#maybe(prev_kv),
      }));
  }

  #maybe(kv: WireKeyValue | null | undefined): KeyValue | undefined {
    return kv === null || kv === undefined ? undefined : this.keyValue(kv);
  }

  #compare(compare: Compare): object {
    return {
      ...wireRange(compare),
      result: COMPARE_RESULTS[compare.result],
      target: COMPARE_TARGETS[compare.target],
      ...this.#expected(compare),
    };
  }

  #expected(compare: Compare): object {
    switch (compare.target) {
      case "version":
        return { version: compare.expected };
      case "createRevision":
        return { create_revision: this.toWire(compare.expected) };
      case "modRevision":
        return { mod_revision: this.toWire(compare.expected) };
      case "lease":
        return { lease: compare.expected.toString() };
      case "value":
        return { value: compare.expected };
    }
  }

  #operation(operation: Operation): object {
    switch (operation.kind) {
      case "range":
        return { request_range: this.range(operation.request) };
      case "put":
        return { request_put: wirePut(operation.request) };
      case "deleteRange":
        return {
          request_delete_range: { ...wireRange(operation.request), prev_kv: operation.request.prevKv ?? false },
        };
      case "txn":
        return { request_txn: this.txn(operation.request) };
    }
  }
}

const SORT_ORDERS = { ascend: "ASCEND", descend: "DESCEND" } as const;
const SORT_TARGETS = {
  key: "KEY",
  version: "VERSION",
  createRevision: "CREATE",
  modRevision: "MOD",
  value: "VALUE",
} as const;
const COMPARE_RESULTS = { equal: "EQUAL", notEqual: "NOT_EQUAL", greater: "GREATER", less: "LESS" } as const;
const COMPARE_TARGETS = {
  version: "VERSION",
  createRevision: "CREATE",
  modRevision: "MOD",
  value: "VALUE",
  lease: "LEASE",
} as const;

function wirePut(put: PutRequest): object {
  return {
    key: put.key,
    value: put.value,
    lease: (put.lease ?? NO_LEASE).toString(),
    prev_kv: put.prevKv ?? false,
    ignore_value: put.ignoreValue ?? false,
    ignore_lease: put.ignoreLease ?? false,
  };
}

/**
 * etcd's ranges: no end means one key, the end "\0" everything from the key on, and no key may be empty; so an empty
 * start is sent as "\0", the least key that there is, and a range of nothing as one that no etcd takes for another.
 */
export function wireRange({ key, end }: KeyRange): { readonly key: Bytes; readonly range_end?: Bytes } {
  if (end === undefined) {
    // Left out, not sent empty: etcd 3.4 takes an empty end that is on the wire for "from the key on".
    return { key };
  }
  const start = key.length === 0 ? ZERO : key;
  if (end === null) {
    return { key: start, range_end: ZERO };
  }
  return compareBytes(end, start) <= 0 ? { key: ONE, range_end: ONE } : { key: start, range_end: end };
}

/** Whether there is nothing in a range, whatever the store holds. */
export function isEmptyRange({ key, end }: KeyRange): boolean {
  return end !== undefined && end !== null && (compareBytes(end, key) <= 0 || compareBytes(end, ZERO) <= 0);
}
