/** How a call ends that does not end well. */
import type { Status } from "./status.ts";

/**
 * What a handler throws to end a call with a status of its choice. The client is told `code` and `message` as they are;
 * `cause` stays here.
 */
export class GrpcError extends Error {
  readonly code: Status;

  constructor(code: Status, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "GrpcError";
    this.code = code;
  }
}
