/**
 * Requests as clients may make them: their ranges begin at byte 1 at the earliest. What needs no change is handed on as
 * it is, as nearly everything does.
 */
import { type Bytes, text } from "../../base/bytes.ts";
import { MusterError } from "../../base/errors.ts";
import type { Compare, KeyRange, Operation, PutRequest, TxnRequest } from "../../engine/model.ts";

const INTERNAL_BYTE = 0;

/** The least key that clients can have. */
const FIRST_KEY: Bytes = Uint8Array.of(1);

/** Whether a key is none that clients may know. The empty key is none at all. */
export function isInternal(key: Bytes): boolean {
  return key[0] === INTERNAL_BYTE;
}

/** The same request about the keys of clients only; an internal key alone becomes a range of nothing. */
export function clientRange<T extends KeyRange>(request: T): T {
  const { key, end } = request;
  if (key.length === 0 ? end === undefined : !isInternal(key)) return request;
  return { ...request, key: FIRST_KEY, end: end === undefined ? FIRST_KEY : end };
}

/** The same transaction about the keys of clients only. Error: `invalidArgument` where any branch puts an internal one. */
export function clientTxn(request: TxnRequest): TxnRequest {
  const compares = changed<Compare>(request.compares, clientRange);
  const success = changed(request.success, clientOperation);
  const failure = changed(request.failure, clientOperation);
  const isSame = compares === request.compares && success === request.success && failure === request.failure;
  return isSame ? request : { compares, success, failure };
}

function clientOperation(operation: Operation): Operation {
  switch (operation.kind) {
    case "put":
      mustBeClients(operation.request);
      return operation;
    case "range": {
      const request = clientRange(operation.request);
      return request === operation.request ? operation : { kind: "range", request };
    }
    case "deleteRange": {
      const request = clientRange(operation.request);
      return request === operation.request ? operation : { kind: "deleteRange", request };
    }
    case "txn": {
      const request = clientTxn(operation.request);
      return request === operation.request ? operation : { kind: "txn", request };
    }
  }
}

function mustBeClients({ key }: PutRequest): void {
  if (!isInternal(key)) return;
  throw new MusterError(
    "invalidArgument",
    `Use a key that does not begin with byte 0, not ${JSON.stringify(text(key))}: those are Muster's own`,
  );
}

/** The list with its items changed; the same list where none did. */
function changed<T>(list: readonly T[], change: (item: T) => T): readonly T[] {
  let copy: T[] | undefined;
  for (let place = 0; place < list.length; place++) {
    const item = list[place];
    if (item === undefined) continue;
    const next = change(item);
    if (next !== item) {
      copy ??= [...list];
      copy[place] = next;
    }
  }
  return copy ?? list;
}
