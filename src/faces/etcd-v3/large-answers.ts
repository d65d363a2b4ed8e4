/**
 * Answers with very many key-values, or with many bytes, are encoded piece by piece, others taking turns in between: a
 * hundred thousand of them at once would hold the event loop for a tenth of a second, and so would a hundred large ones.
 */

import { V3_ANSWER_PIECE_BYTES, V3_ANSWER_PIECE_KEYS } from "../../base/limits.ts";
import { MessageWriter } from "../../base/message-writer.ts";
import type { KeyValue } from "../../engine/model.ts";
import { turns } from "../../engine/turns.ts";
import { EncodedMessage } from "../../grpc/call.ts";
import {
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  type ResponseOp,
  TxnResponse,
} from "../../proto/etcdserverpb.ts";

type Answer = NonNullable<ResponseOp["response"]>;

/** The message as it is, or encoded where it is large. `answer` says what kind it is. */
export function encodedIfLarge<Message>(answer: Answer, message: Message): Message | Promise<EncodedMessage> {
  return isLarge(answer) ? encode(answer) : message;
}

async function encode(answer: Answer): Promise<EncodedMessage> {
  return new EncodedMessage(await piecesOf(answer));
}

function isLarge(answer: Answer): boolean {
  return isMoreThanAPiece(answer, { keys: 0, bytes: 0 });
}

/** Whether the key-values of the answer, and those counted before it, are more than one piece; it counts them. */
function isMoreThanAPiece(answer: Answer, counted: { keys: number; bytes: number }): boolean {
  switch (answer.$case) {
    case "responseRange":
      return answer.value.kvs.some((kv) => isOneTooMany(kv, counted));
    case "responseDeleteRange":
      return answer.value.prevKvs.some((kv) => isOneTooMany(kv, counted));
    case "responseTxn":
      return answer.value.responses.some(
        ({ response }) => response !== undefined && isMoreThanAPiece(response, counted),
      );
    case "responsePut":
      return answer.value.prevKv !== undefined && isOneTooMany(answer.value.prevKv, counted);
  }
}

function isOneTooMany({ key, value }: KeyValue, counted: { keys: number; bytes: number }): boolean {
  counted.keys += 1;
  counted.bytes += key.length + value.length;
  // One key-value may be larger than a piece.
  return counted.keys > 1 && (counted.keys > V3_ANSWER_PIECE_KEYS || counted.bytes > V3_ANSWER_PIECE_BYTES);
}

/** Where a piece ends that begins at `from`: it has one key-value at least. */
function endOfPiece(kvs: readonly KeyValue[], from: number): number {
  let bytes = 0;
  for (let at = from; at < kvs.length; at++) {
    const kv = kvs[at];
    bytes += kv === undefined ? 0 : kv.key.length + kv.value.length;
    if (at > from && (at - from >= V3_ANSWER_PIECE_KEYS || bytes > V3_ANSWER_PIECE_BYTES)) return at;
  }
  return kvs.length;
}

async function piecesOf(answer: Answer): Promise<Uint8Array[]> {
  switch (answer.$case) {
    case "responseRange": {
      const begin = RangeResponse.encode({ ...answer.value, kvs: [] }).finish();
      const kvsOnly = { header: undefined, more: false, count: 0 };
      return listPieces(begin, answer.value.kvs, (kvs) => RangeResponse.encode({ ...kvsOnly, kvs }).finish());
    }
    case "responseDeleteRange": {
      const begin = DeleteRangeResponse.encode({ ...answer.value, prevKvs: [] }).finish();
      const kvsOnly = { header: undefined, deleted: 0 };
      const encodeKvs = (prevKvs: readonly KeyValue[]) => DeleteRangeResponse.encode({ ...kvsOnly, prevKvs }).finish();
      return listPieces(begin, answer.value.prevKvs, encodeKvs);
    }
    case "responseTxn":
      return txnPieces(answer.value);
    case "responsePut":
      if (answer.value.prevKv !== undefined) await turns.next();
      return [PutResponse.encode(answer.value).finish()];
  }
}

async function listPieces(
  begin: Uint8Array,
  kvs: readonly KeyValue[],
  encodeKvs: (kvs: readonly KeyValue[]) => Uint8Array,
): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [begin];
  for (let from = 0; from < kvs.length; ) {
    const end = endOfPiece(kvs, from);
    await turns.next();
    pieces.push(encodeKvs(kvs.slice(from, end)));
    from = end;
  }
  return pieces;
}

async function txnPieces(answer: TxnResponse): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [TxnResponse.encode({ ...answer, responses: [] }).finish()];
  for (const { response } of answer.responses) {
    const operation =
      response === undefined ? [] : enclosed(OPERATION_FIELDS[response.$case], await piecesOf(response));
    pieces.push(...enclosed(RESPONSES_FIELD, operation));
  }
  return pieces;
}

/** TxnResponse.responses, and the fields of ResponseOp, by number. */
const RESPONSES_FIELD = 3;
const OPERATION_FIELDS = {
  responseRange: 1,
  responsePut: 2,
  responseDeleteRange: 3,
  responseTxn: 4,
} as const satisfies Record<Answer["$case"], number>;

const LENGTH_DELIMITED = 2;

/** The pieces of a message as a field of another: the field's tag and length go before them. */
function enclosed(field: number, pieces: readonly Uint8Array[]): Uint8Array[] {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const tag = (field << 3) | LENGTH_DELIMITED;
  return [new MessageWriter().uint32(tag).uint32(bytes).finish(), ...pieces];
}
