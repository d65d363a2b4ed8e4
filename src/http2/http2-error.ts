/** What a client did wrong with a connection, which ends by it. */
import { HpackError } from "./hpack-error.ts";
import { ErrorCode } from "./server-stream.ts";

/** RFC 9113, 5.4.1. Its message is sent to the client, for people. */
export class ConnectionError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConnectionError";
    this.code = code;
  }
}

/** Says what to tell the client; what is no mistake of its is a defect of ours. */
export function asConnectionError(error: unknown): ConnectionError {
  if (error instanceof ConnectionError) return error;
  if (error instanceof HpackError) return new ConnectionError(ErrorCode.COMPRESSION_ERROR, error.message);
  return new ConnectionError(ErrorCode.INTERNAL_ERROR, "internal error", { cause: error });
}

export function broken(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
}

export function wrongSize(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `${what} has a wrong size`);
}

export function tooWide(): ConnectionError {
  return new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a window is wider than 2^31 - 1 bytes");
}

export function notCalm(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, message);
}
