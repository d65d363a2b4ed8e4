/** Muster's errors in etcd v2's words: numbers, messages and statuses of etcd 2.3.8 (error/error.go). */
import type { ErrorCode, MusterError } from "../../base/errors.ts";

export interface V2Error {
  readonly status: number;
  readonly errorCode: number;
  readonly message: string;
  readonly cause: string;
  readonly index: number;
}

/** The messages of the codes that Muster answers with. */
const MESSAGES: Readonly<Record<number, string>> = {
  100: "Key not found",
  101: "Compare failed",
  102: "Not a file",
  104: "Not a directory",
  105: "Key already exists",
  107: "Root is read only",
  108: "Directory not empty",
  201: "PrevValue is Required in POST form",
  202: "The given TTL in POST form is not a number",
  203: "The given index in POST form is not a number",
  209: "Invalid field",
  210: "Invalid POST form",
  211: "Value provided on refresh",
  212: "A TTL must be provided on refresh",
  300: "Raft Internal Error",
  401: "The event in requested index is outdated and cleared",
};

/**
 * What the fault is: the node's or the request's (4xx), or for now only (503: etcd's clients try again). Never anything
 * else, because a node that boots takes every 4xx as the end.
 */
const REFUSED = { status: 400, v2Code: 209 } as const;
const FOR_NOW = { status: 503, v2Code: 300 } as const;
const DEFECT = { status: 500, v2Code: 300 } as const;

const TABLE = {
  nodeNotFound: { status: 404, v2Code: 100 },
  compareFailed: { status: 412, v2Code: 101 },
  notFile: { status: 403, v2Code: 102 },
  notDirectory: { status: 400, v2Code: 104 },
  nodeExists: { status: 412, v2Code: 105 },
  readOnly: { status: 400, v2Code: 107 },
  directoryNotEmpty: { status: 403, v2Code: 108 },
  eventIndexCleared: { status: 400, v2Code: 401 },
  invalidField: REFUSED,
  invalidArgument: REFUSED,
  keyTooLong: REFUSED,
  tooLarge: { status: 413, v2Code: 209 },
  tooManyOperations: REFUSED,
  contention: FOR_NOW,
  storeUnavailable: FOR_NOW,
  outcomeUnknown: FOR_NOW,
  closed: FOR_NOW,
  compacted: FOR_NOW,
  futureRevision: FOR_NOW,
  duplicateKey: DEFECT,
  keyNotFound: DEFECT,
  leaseNotFound: DEFECT,
  leaseExists: DEFECT,
  leaseTtlTooLarge: DEFECT,
  sharedStore: DEFECT,
  authRefused: DEFECT,
  directoryInUse: DEFECT,
  directoryCorrupt: DEFECT,
  directoryTooNew: DEFECT,
  configInvalid: DEFECT,
  addressInUse: DEFECT,
  internal: DEFECT,
} as const satisfies Record<ErrorCode, { readonly status: number; readonly v2Code: number }>;

/** The v2 error that an error is; the cause is etcd's where the error has one, else our own message. */
export function toV2Error(error: MusterError): V2Error {
  const { status, v2Code } = TABLE[error.code];
  const { v2Code: given, cause, index } = error.details;
  const errorCode = typeof given === "number" ? given : v2Code;
  return {
    status,
    errorCode,
    message: MESSAGES[errorCode] ?? error.message,
    cause: typeof cause === "string" ? cause : error.message,
    index: typeof index === "number" ? index : 0,
  };
}
