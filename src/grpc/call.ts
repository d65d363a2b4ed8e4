/** A call as its handler sees it. */
import type { RequestFields } from "../http2/server-stream.ts";

/** Who asks. */
export interface CallPeer {
  /** IP address of the client, or what a trusted proxy says that it is. */
  readonly address: string;
  /** The name and port by which the client called this server (`:authority`), checked; undefined where there is none. */
  readonly host: string | undefined;
  readonly scheme: "http" | "https";
  /** The connection by which it came: the same object for all calls of one connection. */
  readonly connection: object;
}

export interface Call {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly peer: CallPeer;
  /** As HTTP/2 has them: names in lower case, those of the protocol begin with a colon. */
  readonly fields: RequestFields;
  /** Size of the latest request message as it came, in bytes. */
  readonly requestBytes: number;
  /**
   * Aborted when nobody waits for an answer any more: cancelled, past its deadline, the connection gone, the server
   * stopping. The reason is a GrpcError. It is made when it is first asked for, which costs a microsecond.
   */
  readonly signal: AbortSignal;
}

/** A call that answers with a stream of messages. The stream ends well when its handler returns. */
export interface StreamCall<Response> extends Call {
  /**
   * Sends a message. Resolves when there is room for the next one: a handler that awaits it keeps at most one message
   * beyond what the client's windows and a small buffer take. Without awaiting, everything is kept in memory.
   * @throws GrpcError when the call has ended (the signal's reason)
   */
  send(response: Response | EncodedMessage): Promise<void>;
}

/**
 * A message that is encoded already, in pieces that follow one another: protobuf messages that are concatenated are one
 * message. For answers that are too large to be encoded in one go, or that go to many clients.
 */
export class EncodedMessage {
  readonly pieces: readonly Uint8Array[];

  constructor(pieces: readonly Uint8Array[]) {
    this.pieces = pieces;
  }
}
