/** The requests of gRPC jobs as bytes, put together beforehand as far as they can be. */
import { prefixEnd } from "../../src/base/bytes.ts";
import {
  Compare,
  Compare_CompareTarget,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from "../../src/proto/etcdserverpb.ts";
import { requestOf } from "./grpc-connection.ts";
import type { GrpcJob } from "./jobs.ts";

const NUMBER_DIGITS = 8;
const NUMBER_PLACE = "#".repeat(NUMBER_DIGITS);

/** A put of `key`, as calls take it. */
export function putRequest(key: string, valueBytes: number): Buffer {
  const message = { key: Buffer.from(key), value: Buffer.alloc(valueBytes, "v") };
  return requestOf(PutRequest.encode(PutRequest.fromPartial(message)).finish());
}

/** The bytes of the next request; undefined when there are no more. They are used before the next one is made. */
export function requestsOf({ call, count = Number.POSITIVE_INFINITY }: GrpcJob): () => Buffer | undefined {
  let sent = 0;
  if (call.kind === "range") {
    const key = Buffer.from(call.key);
    const rangeEnd = call.isPrefix === true ? (prefixEnd(key) ?? Buffer.of(0)) : new Uint8Array();
    const request = requestOf(RangeRequest.encode(RangeRequest.fromPartial({ key, rangeEnd })).finish());
    return () => (sent++ < count ? request : undefined);
  }
  const isPut = call.kind === "put";
  const request = isPut ? putRequest(call.prefix + NUMBER_PLACE, call.valueBytes) : createRequest(call);
  const places = placesIn(request);
  const keys = isPut ? call.keys : Number.POSITIVE_INFINITY;
  return () => {
    if (sent >= count) return undefined;
    const number = String(sent++ % keys).padStart(NUMBER_DIGITS, "0");
    for (const place of places) request.write(number, place, "latin1");
    return request;
  };
}

function createRequest({ prefix, puts, valueBytes }: Extract<GrpcJob["call"], { readonly kind: "create" }>): Buffer {
  const keys = Array.from({ length: puts }, (_, place) => Buffer.from(`${prefix}${NUMBER_PLACE}/${place}`));
  const value = Buffer.alloc(valueBytes, "v");
  const success = keys.map((key): RequestOp => {
    return { request: { $case: "requestPut", value: PutRequest.fromPartial({ key, value }) } };
  });
  const compare = keys.slice(0, 1).map((key) =>
    Compare.fromPartial({
      key,
      target: Compare_CompareTarget.CREATE,
      targetUnion: { $case: "createRevision", value: 0 },
    }),
  );
  return requestOf(TxnRequest.encode(TxnRequest.fromPartial({ compare, success })).finish());
}

/** Where numbers go. */
function placesIn(request: Buffer): readonly number[] {
  const places: number[] = [];
  for (let at = request.indexOf(NUMBER_PLACE); at !== -1; at = request.indexOf(NUMBER_PLACE, at + 1)) places.push(at);
  return places;
}
