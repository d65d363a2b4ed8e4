/** Answers that the server itself gives, where no face did: plain text, a line that says what to do. */
import type { ServerResponse } from "node:http";
import { type ErrorCode, MusterError } from "../base/errors.ts";

/** The status of each error that a face leaves to the server. */
const STATUS = {
  invalidArgument: 400,
  keyTooLong: 400,
  tooLarge: 413,
  duplicateKey: 400,
  tooManyOperations: 400,
  compacted: 400,
  futureRevision: 400,
  keyNotFound: 404,
  leaseNotFound: 404,
  leaseExists: 409,
  leaseTtlTooLarge: 400,
  storeUnavailable: 503,
  outcomeUnknown: 503,
  closed: 503,
  sharedStore: 500,
  directoryInUse: 500,
  directoryCorrupt: 500,
  directoryTooNew: 500,
  configInvalid: 500,
  addressInUse: 500,
  nodeNotFound: 404,
  compareFailed: 412,
  notFile: 403,
  notDirectory: 400,
  nodeExists: 412,
  readOnly: 403,
  directoryNotEmpty: 403,
  eventIndexCleared: 400,
  invalidField: 400,
  authRefused: 400,
  contention: 503,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

/** The status and text for whatever a face threw; what is not a MusterError is a defect, and tells nothing of itself. */
export function statusOf(error: unknown): { readonly status: number; readonly text: string } {
  if (error instanceof MusterError && error.code !== "internal") {
    return { status: STATUS[error.code], text: error.message };
  }
  return { status: 500, text: "Internal Server Error" };
}

/** Writes a whole answer in plain text, and a line's end behind it. */
export function answerPlain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Content-Length": Buffer.byteLength(text) + 1,
  });
  response.end(`${text}\n`);
}
