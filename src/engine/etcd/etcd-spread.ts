/** Calls that may take etcd over many keys. */
import type {
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from "../../proto/etcdserverpb.ts";

/** Labels are remembered: they are cut to this. */
const MAX_LABEL_BYTES = 256;

/** Over which keys a call goes. */
export interface Spread<Response> {
  /**
   * The same for calls over (parts of) the same keys: where the call's first range ends. The pages of one large range
   * differ in where they begin.
   */
  readonly label: string;
  /** Whether a revision is named: then what it belongs to has mostly begun, and what was read for it would be lost. */
  readonly isContinued: boolean;
  /** How many keys etcd went over, as far as its answer tells. */
  readonly keys: (response: Response) => number;
}

/** Undefined for one key. */
export function spreadOfRange(request: RangeRequest): Spread<RangeResponse> | undefined {
  return spread([request], ({ count }) => count);
}

/** Undefined where each compare and operation is of one key. */
export function spreadOfTxn(request: TxnRequest): Spread<TxnResponse> | undefined {
  return spread(rangesOf(request), keysOfTxn);
}

interface Ranging {
  readonly rangeEnd: Uint8Array;
  readonly revision?: number;
}

function spread<Response>(
  ranges: Iterable<Ranging>,
  keys: (response: Response) => number,
): Spread<Response> | undefined {
  for (const { rangeEnd, revision = 0 } of ranges) {
    if (rangeEnd.length > 0) {
      const label = Buffer.from(rangeEnd.subarray(0, MAX_LABEL_BYTES)).toString("latin1");
      return { label, isContinued: revision > 0, keys };
    }
  }
  return undefined;
}

function* rangesOf(request: TxnRequest): Generator<Ranging> {
  yield* request.compare;
  for (const operation of [...request.success, ...request.failure]) yield* rangesOfOperation(operation);
}

function* rangesOfOperation({ request }: RequestOp): Generator<Ranging> {
  if (request?.$case === "requestTxn") yield* rangesOf(request.value);
  else if (request?.$case === "requestRange" || request?.$case === "requestDeleteRange") yield request.value;
}

function keysOfTxn({ responses }: TxnResponse): number {
  return responses.reduce((keys, response) => keys + keysOfOperation(response), 0);
}

function keysOfOperation({ response }: ResponseOp): number {
  switch (response?.$case) {
    case "responseRange":
      return response.value.count;
    case "responseDeleteRange":
      return response.value.deleted;
    case "responseTxn":
      return keysOfTxn(response.value);
    default:
      return 0;
  }
}
