/** A range as a stream of messages, as etcd 3.7 gives it: all at the revision of the first, in pieces of about the same size. */
import { RANGE_STREAM_BYTES, RANGE_STREAM_FIRST_KEYS, V3_ANSWER_PIECE_KEYS } from "../../base/limits.ts";
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { RangeRequest, RangeResult, Revision } from "../../engine/model.ts";
import type { StreamCall } from "../../grpc/call.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { Status } from "../../grpc/status.ts";
import type * as wire from "../../proto/etcdserverpb.ts";
import type { Headers } from "./header.ts";
import { checkRange, hasBounds, keyRange, readRange } from "./kv-requests.ts";

/** What a key-value takes in a message besides its key and value, about. */
const KEY_VALUE_FIELDS_BYTES = 16;

interface Source {
  readonly keyspace: Keyspace;
  readonly headers: Headers;
}

/** Sends the range to the call, with the header, `more` and `count` in the last message. */
export async function streamRange(
  request: wire.RangeRequest,
  call: StreamCall<wire.RangeStreamResponse>,
  { keyspace, headers }: Source,
): Promise<void> {
  checkStreamed(request);
  const send = (rangeResponse: wire.RangeResponse) => call.send({ rangeResponse });
  if (request.countOnly) {
    const { revision, count } = await keyspace.range(readRange(request));
    return send({ header: headers.at(revision), kvs: [], more: false, count });
  }
  const reading = new StreamedRange(keyspace, request);
  for (;;) {
    const piece = await reading.next();
    const { kvs, last } = piece;
    if (last === undefined) await send({ header: undefined, kvs, more: false, count: 0 });
    else return send({ header: headers.at(last.revision), kvs, more: last.more, count: last.count });
  }
}

function checkStreamed(request: wire.RangeRequest): void {
  checkRange(request);
  const isInKeyOrder = request.sortOrder === 0 || (request.sortTarget === 0 && request.sortOrder === 1);
  if (!isInKeyOrder) throw unsupported("custom sort orders");
  if (hasBounds(request)) throw unsupported("revision filters");
}

function unsupported(what: string): GrpcError {
  return new GrpcError(Status.UNIMPLEMENTED, `RangeStream does not support ${what}`);
}

interface Piece {
  readonly kvs: RangeResult["kvs"];
  /** Of the last piece: what is told of the whole range. */
  readonly last?: { readonly revision: Revision; readonly more: boolean; readonly count: number };
}

class StreamedRange {
  readonly #keyspace: Keyspace;
  readonly #request: wire.RangeRequest;
  readonly #limit: number;
  /** The store's revision when the first piece was read; all are read at it, or at the one that was asked for. */
  #revision: Revision | undefined;
  #from: Uint8Array;
  #keys = RANGE_STREAM_FIRST_KEYS;
  #count = 0;

  constructor(keyspace: Keyspace, request: wire.RangeRequest) {
    this.#keyspace = keyspace;
    this.#request = request;
    this.#limit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
    this.#from = request.key;
  }

  async next(): Promise<Piece> {
    const limit = Math.min(this.#keys, this.#limit - this.#count);
    const { revision, kvs, more } = await this.#read({ limit, uncounted: true });
    this.#revision ??= revision;
    this.#count += kvs.length;
    this.#adjust(kvs);
    const lastKey = kvs.at(-1)?.key;
    if (more && lastKey !== undefined) this.#from = Buffer.concat([lastKey, Buffer.of(0)]);
    if (more && this.#count < this.#limit) return { kvs };
    const rest = more ? (await this.#read({ countOnly: true })).count : 0;
    return { kvs, last: { revision: this.#revision, more, count: this.#count + rest } };
  }

  #read(part: Partial<RangeRequest>): Promise<RangeResult> {
    const { rangeEnd, keysOnly, revision: asked } = this.#request;
    const revision = asked > 0 ? asked : (this.#revision ?? 0);
    return this.#keyspace.range({ ...keyRange(this.#from, rangeEnd), keysOnly, revision, ...part });
  }

  /** Twice as many, or half as many, where a piece was not about the size that it should be; as etcd, but never very many. */
  #adjust(kvs: RangeResult["kvs"]): void {
    const bytes = kvs.reduce((sum, { key, value }) => sum + key.length + value.length + KEY_VALUE_FIELDS_BYTES, 0);
    if (bytes < RANGE_STREAM_BYTES / 2) this.#keys = Math.min(this.#keys * 2, V3_ANSWER_PIECE_KEYS);
    else if (bytes > RANGE_STREAM_BYTES * 2) this.#keys = Math.max(1, Math.floor(this.#keys / 2));
  }
}
