/** From the model to etcd's messages. */

import {
  Compare_CompareResult,
  Compare_CompareTarget,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  type RequestOp,
  type Compare as WireCompare,
  type PutRequest as WirePut,
  type RangeRequest as WireRangeRequest,
  type TxnRequest as WireTxn,
} from "../../proto/etcdserverpb.ts";
import {
  type Compare,
  type LeaseId,
  NO_LEASE,
  type Operation,
  type PutRequest,
  type RangeRequest,
  type TxnRequest,
} from "../model.ts";
import type { EtcdSpace } from "./etcd-space.ts";

const SORT_ORDERS = { ascend: RangeRequest_SortOrder.ASCEND, descend: RangeRequest_SortOrder.DESCEND } as const;
const SORT_TARGETS = {
  key: RangeRequest_SortTarget.KEY,
  version: RangeRequest_SortTarget.VERSION,
  createRevision: RangeRequest_SortTarget.CREATE,
  modRevision: RangeRequest_SortTarget.MOD,
  value: RangeRequest_SortTarget.VALUE,
} as const;
const COMPARE_RESULTS = {
  equal: Compare_CompareResult.EQUAL,
  notEqual: Compare_CompareResult.NOT_EQUAL,
  greater: Compare_CompareResult.GREATER,
  less: Compare_CompareResult.LESS,
} as const;
const COMPARE_TARGETS = {
  version: Compare_CompareTarget.VERSION,
  createRevision: Compare_CompareTarget.CREATE,
  modRevision: Compare_CompareTarget.MOD,
  value: Compare_CompareTarget.VALUE,
  lease: Compare_CompareTarget.LEASE,
} as const;

/** A linearizable range. Error: `compacted`, where its revision was before an import. */
export function wireRange(space: EtcdSpace, request: RangeRequest): WireRangeRequest {
  return {
    ...space.range(request),
    limit: request.limit ?? 0,
    revision: space.pastToWire(request.revision),
    sortOrder: request.sort === undefined ? RangeRequest_SortOrder.NONE : SORT_ORDERS[request.sort.order],
    sortTarget: SORT_TARGETS[request.sort?.target ?? "key"],
    serializable: false,
    keysOnly: request.keysOnly ?? false,
    countOnly: request.countOnly ?? false,
    minModRevision: space.toWire(request.minModRevision ?? 0),
    maxModRevision: space.toWire(request.maxModRevision ?? 0),
    minCreateRevision: space.toWire(request.minCreateRevision ?? 0),
    maxCreateRevision: space.toWire(request.maxCreateRevision ?? 0),
  };
}

/** How the leases that puts name go over the wire. */
export type LeaseNames = (id: LeaseId) => LeaseId;

/** A transaction. Error: `compacted`, where a range's revision was before an import. */
export function wireTxn(space: EtcdSpace, request: TxnRequest, leases: LeaseNames = (id) => id): WireTxn {
  const operations = (list: readonly Operation[]) => list.map((each) => ({ request: wireOp(space, each, leases) }));
  return {
    compare: request.compares.map((compare) => wireCompare(space, compare)),
    success: operations(request.success),
    failure: operations(request.failure),
  };
}

function wireOp(space: EtcdSpace, operation: Operation, leases: LeaseNames): RequestOp["request"] {
  switch (operation.kind) {
    case "range":
      return { $case: "requestRange", value: wireRange(space, operation.request) };
    case "put":
      return { $case: "requestPut", value: wirePut(space, operation.request, leases) };
    case "deleteRange":
      return {
        $case: "requestDeleteRange",
        value: { ...space.range(operation.request), prevKv: operation.request.prevKv ?? false },
      };
    case "txn":
      return { $case: "requestTxn", value: wireTxn(space, operation.request, leases) };
  }
}

function wirePut(space: EtcdSpace, put: PutRequest, leases: LeaseNames): WirePut {
  return {
    key: space.key(put.key),
    value: put.value,
    lease: put.lease === undefined || put.lease === NO_LEASE ? NO_LEASE : leases(put.lease),
    prevKv: put.prevKv ?? false,
    ignoreValue: put.ignoreValue ?? false,
    ignoreLease: put.ignoreLease ?? false,
  };
}

function wireCompare(space: EtcdSpace, compare: Compare): WireCompare {
  return {
    ...space.range(compare),
    result: COMPARE_RESULTS[compare.result],
    target: COMPARE_TARGETS[compare.target],
    targetUnion: wireExpected(space, compare),
  };
}

function wireExpected(space: EtcdSpace, compare: Compare): WireCompare["targetUnion"] {
  switch (compare.target) {
    case "version":
      return { $case: "version", value: compare.expected };
    case "createRevision":
      return { $case: "createRevision", value: space.toWire(compare.expected) };
    case "modRevision":
      return { $case: "modRevision", value: space.toWire(compare.expected) };
    case "lease":
      return { $case: "lease", value: compare.expected };
    case "value":
      return { $case: "value", value: compare.expected };
  }
}
