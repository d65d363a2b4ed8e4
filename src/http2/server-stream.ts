/** A request and its answer on a connection of HTTP/2, as those see it who answer. */

/**
 * The fields of a request, by name in lower case: `:method`, `:path`, `:scheme` and `:authority` too. Values of a field that
 * came more than once are joined, with `, ` (RFC 9110, 5.3), those of `cookie` with `; ` (RFC 9113, 8.2.3).
 */
export type RequestFields = Readonly<Record<string, string | undefined>>;

/** Error codes of RFC 9113, section 7. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Who answers a request. Told of nothing any more once `onClose` was called, which is called once, whatever happens. */
export interface StreamUser {
  /** A piece of the request's body. It shares memory with others, so who keeps it copies it. */
  onData(piece: Buffer): void;
  /** The request is whole. Not told of a request that has no body: see `hasBody`. */
  onEnd(): void;
  /** There is room again after a `write` that answered false. */
  onDrain(): void;
  /**
   * Both sides have ended, one of them has reset the stream, or the connection is gone. It may be called within `respond`,
   * `end` and `reset`; nothing else is called within what the user calls.
   */
  onClose(): void;
}

export interface ServerStream {
  /** The same object for all streams of one connection. */
  readonly connection: object;
  readonly fields: RequestFields;
  /** Whether the request goes on behind its fields. */
  readonly hasBody: boolean;
  /** Nothing can be sent any more: answers to it are dropped. */
  readonly isClosed: boolean;
  /** Whether the answer's fields have been sent. */
  readonly hasResponded: boolean;

  /** Names who answers; before that nothing comes, and it is called at once. */
  serve(user: StreamUser): void;

  /** Sends the fields of the answer, as `encodeFields` (http2/hpack-encoder) made them; `isWhole` where nothing follows. Once. */
  respond(fields: Uint8Array, isWhole: boolean): void;

  /**
   * Sends a piece of the answer's body, which nobody may change any more. False where more is waiting to be sent than is
   * good: `onDrain` tells when that is over.
   */
  write(piece: Uint8Array): boolean;

  /**
   * Ends the answer once all that was written is sent, with trailers where they are given, encoded as fields are. A
   * client that has more to send is asked not to (RFC 9113, 8.1).
   */
  end(trailers?: Uint8Array): void;

  /** Ends the stream at once. What was written and not sent is dropped. */
  reset(code: ErrorCode): void;

  /** Keeps the client from sending more than its window takes. */
  pause(): void;
  resume(): void;
}
