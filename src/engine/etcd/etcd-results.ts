/** From etcd's messages to the model. */
import { MusterError } from "../../base/errors.ts";
import type { RangeResponse, ResponseHeader, ResponseOp, TxnResponse } from "../../proto/etcdserverpb.ts";
import { Event_EventType, type Event as WireEvent, type KeyValue as WireKeyValue } from "../../proto/mvccpb.ts";
import type { Event, KeyValue, OperationResult, RangeResult, Revision, TxnResult } from "../model.ts";
import type { EtcdSpace } from "./etcd-space.ts";

/** The revision of an answer, as it is told. */
export function revisionOf(space: EtcdSpace, header: ResponseHeader | undefined): Revision {
  return space.fromWire(header?.revision ?? 0);
}

export function rangeResult(space: EtcdSpace, response: RangeResponse): RangeResult {
  return {
    revision: revisionOf(space, response.header),
    kvs: response.kvs.map((kv) => keyValue(space, kv)),
    more: response.more,
    count: response.count,
  };
}

export function txnResult(space: EtcdSpace, response: TxnResponse): TxnResult {
  const revision = revisionOf(space, response.header);
  return { revision, succeeded: response.succeeded, results: operationResults(space, response) };
}

function operationResults(space: EtcdSpace, { responses }: TxnResponse): readonly OperationResult[] {
  return responses.map((response) => operationResult(space, response));
}

function operationResult(space: EtcdSpace, { response }: ResponseOp): OperationResult {
  switch (response?.$case) {
    case "responseRange":
      return { kind: "range", result: rangeResult(space, response.value) };
    case "responsePut":
      return { kind: "put", prevKv: maybe(space, response.value.prevKv) };
    case "responseDeleteRange": {
      const { deleted, prevKvs } = response.value;
      return { kind: "deleteRange", deleted, prevKvs: prevKvs.map((kv) => keyValue(space, kv)) };
    }
    case "responseTxn": {
      const { succeeded } = response.value;
      return { kind: "txn", succeeded, results: operationResults(space, response.value) };
    }
    case undefined:
      throw new MusterError("internal", "Report this: etcd answered an operation of a transaction with nothing");
  }
}

export function keyValue(space: EtcdSpace, kv: WireKeyValue): KeyValue {
  return {
    key: space.plainKey(kv.key),
    value: kv.value,
    createRevision: space.fromWire(kv.createRevision),
    modRevision: space.fromWire(kv.modRevision),
    version: kv.version,
    lease: kv.lease,
  };
}

export function eventOf(space: EtcdSpace, { type, kv, prevKv }: WireEvent): Event {
  if (kv === undefined) {
    throw new MusterError("internal", "Report this: etcd told an event without a key");
  }
  return {
    kind: type === Event_EventType.PUT ? "put" : "delete",
    kv: keyValue(space, kv),
    prevKv: maybe(space, prevKv),
  };
}

function maybe(space: EtcdSpace, kv: WireKeyValue | undefined): KeyValue | undefined {
  return kv === undefined ? undefined : keyValue(space, kv);
}
