/** The KV service: reading and writing keys. */
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { TxnRequest } from "../../engine/model.ts";
import type { Call, CallPeer, EncodedMessage } from "../../grpc/call.ts";
import { defineService, type Service } from "../../grpc/service.ts";
import type * as wire from "../../proto/etcdserverpb.ts";
import { KVDefinition } from "../../proto/etcdserverpb.ts";
import { toGrpcError } from "./errors.ts";
import type { Headers } from "./header.ts";
import { rangeResponse, txnResponse } from "./kv-answers.ts";
import { checkPut, mustFit, readDeleteRange, readRange, readTxn } from "./kv-requests.ts";
import { encodedIfLarge } from "./large-answers.ts";
import { streamRange } from "./range-stream.ts";

export interface KvOptions {
  readonly headers: Headers;
  /** The keys as the caller may see and write them. */
  readonly keyspaceFor: (peer: CallPeer) => Keyspace;
  /** The largest request that writes, in bytes, as etcd counts it. */
  readonly maxRequestBytes: number;
}

/** The service over a keyspace. */
export function kvService(options: KvOptions): Service {
  const kv = new Kv(options);
  return defineService(
    KVDefinition,
    {
      range: (request, call) => kv.range(request, call),
      rangeStream: (request, call) => {
        const keyspace = options.keyspaceFor(call.peer);
        return streamRange(request, call, { keyspace, headers: options.headers });
      },
      put: (request, call) => kv.put(request, call),
      deleteRange: (request, call) => kv.deleteRange(request, call),
      txn: (request, call) => kv.txn(request, call),
      compact: (request, call) => kv.compact(request, call),
    },
    { toGrpcError },
  );
}

class Kv {
  readonly #options: KvOptions;

  constructor(options: KvOptions) {
    this.#options = options;
  }

  async range(request: wire.RangeRequest, call: Call): Promise<wire.RangeResponse | EncodedMessage> {
    const result = await this.#options.keyspaceFor(call.peer).range(readRange(request));
    const response = rangeResponse(this.#options.headers.at(result.revision), request, result);
    return encodedIfLarge({ $case: "responseRange", value: response }, response);
  }

  async put(request: wire.PutRequest, call: Call): Promise<wire.PutResponse> {
    checkPut(request);
    this.#checkSize(call);
    const write: TxnRequest = { compares: [], success: [{ kind: "put", request }], failure: [] };
    const { revision, results } = await this.#options.keyspaceFor(call.peer).txn(write);
    const [result] = results;
    const prevKv = result?.kind === "put" ? result.prevKv : undefined;
    return { header: this.#options.headers.at(revision), prevKv };
  }

  async deleteRange(request: wire.DeleteRangeRequest, call: Call): Promise<wire.DeleteRangeResponse | EncodedMessage> {
    const deletion = readDeleteRange(request);
    this.#checkSize(call);
    const write: TxnRequest = { compares: [], success: [{ kind: "deleteRange", request: deletion }], failure: [] };
    const { revision, results } = await this.#options.keyspaceFor(call.peer).txn(write);
    const [result] = results;
    const { deleted, prevKvs } = result?.kind === "deleteRange" ? result : { deleted: 0, prevKvs: [] };
    const response = { header: this.#options.headers.at(revision), deleted, prevKvs };
    return encodedIfLarge({ $case: "responseDeleteRange", value: response }, response);
  }

  async txn(request: wire.TxnRequest, call: Call): Promise<wire.TxnResponse | EncodedMessage> {
    const read = readTxn(request);
    if (writes(read)) this.#checkSize(call);
    const result = await this.#options.keyspaceFor(call.peer).txn(read);
    const response = txnResponse(this.#options.headers.at(result.revision), request, result);
    return encodedIfLarge({ $case: "responseTxn", value: response }, response);
  }

  async compact({ revision, physical }: wire.CompactionRequest, call: Call): Promise<wire.CompactionResponse> {
    const keyspace = this.#options.keyspaceFor(call.peer);
    // Asked before: a store that goes away after the compaction must not make it look as if there were none.
    const before = await keyspace.status();
    await keyspace.compact(revision, { physical });
    return { header: this.#options.headers.at(Math.max(before.revision, revision)) };
  }

  #checkSize({ requestBytes }: Call): void {
    mustFit(requestBytes, this.#options.maxRequestBytes);
  }
}

/** Reads may be of any size: etcd has a limit for what goes through its log. */
function writes({ success, failure }: TxnRequest): boolean {
  const isWrite = ({ kind }: { readonly kind: string }) => kind !== "range";
  return success.some(isWrite) || failure.some(isWrite);
}
