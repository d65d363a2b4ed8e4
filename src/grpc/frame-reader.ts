/** Messages out of the bytes of a request: each has a byte that says whether it is compressed, its length in 4, and itself. */
import { HeldBytes } from "../base/held-bytes.ts";
import { GrpcError } from "./grpc-error.ts";
import { Status } from "./status.ts";

export const FRAME_HEADER_BYTES = 5;

const NOTHING = Buffer.alloc(0);

/**
 * The message where `piece` is one and nothing else, as it is for nearly all calls of one request, which so need no reader;
 * undefined where it is not. It is a view of the piece.
 * @throws GrpcError for a message that is compressed or too long
 */
export function onlyMessage(piece: Buffer, maxMessageBytes: number): Buffer | undefined {
  const length = piece.length - FRAME_HEADER_BYTES;
  if (length < 0 || piece.readUInt32BE(1) !== length) return undefined;
  check(piece[0] ?? 0, length, maxMessageBytes);
  return piece.subarray(FRAME_HEADER_BYTES);
}

/** Takes the bytes of one request as they come, in pieces of any size, and gives whole messages. */
export class FrameReader {
  readonly #maxMessageBytes: number;
  #chunk: Buffer = NOTHING;
  #at = 0;
  #waiting: HeldBytes | undefined;
  /** How many bytes the unfinished frame has in all; 0 as long as that is not known. */
  #wantedBytes = 0;

  constructor(options: { readonly maxMessageBytes: number }) {
    this.#maxMessageBytes = options.maxMessageBytes;
  }

  /** Whether the bytes so far end in the middle of a message. */
  get isWithinMessage(): boolean {
    return this.unfinishedBytes + this.#chunk.length - this.#at > 0;
  }

  /** How many bytes of an unfinished message are kept. */
  get unfinishedBytes(): number {
    return this.#waiting?.bytes ?? 0;
  }

  /** Takes further bytes. All messages of those before must have been fetched. */
  push(chunk: Buffer): void {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#chunk = chunk;
      this.#at = 0;
      return;
    }
    waiting.push(chunk);
    if (waiting.bytes < (this.#wantedBytes || FRAME_HEADER_BYTES)) return;
    this.#chunk = waiting.take() ?? NOTHING;
    this.#at = 0;
    this.#waiting = undefined;
  }

  /**
   * The next whole message, a view of the bytes that came; undefined where more are needed.
   * @throws GrpcError for a message that is compressed or too long
   */
  next(): Buffer | undefined {
    const left = this.#chunk.length - this.#at;
    if (left === 0) return undefined;
    if (left < FRAME_HEADER_BYTES) return this.#wait(0);
    const length = this.#chunk.readUInt32BE(this.#at + 1);
    check(this.#chunk[this.#at] ?? 0, length, this.#maxMessageBytes);
    if (left < FRAME_HEADER_BYTES + length) return this.#wait(FRAME_HEADER_BYTES + length);
    const begin = this.#at + FRAME_HEADER_BYTES;
    const message = this.#chunk.subarray(begin, begin + length);
    if (begin + length === this.#chunk.length) {
      // The stream outlives its call by a while: it need not keep what came by it.
      this.#chunk = NOTHING;
      this.#at = 0;
    } else {
      this.#at = begin + length;
    }
    return message;
  }

  #wait(wantedBytes: number): undefined {
    this.#waiting = new HeldBytes();
    this.#waiting.push(this.#chunk.subarray(this.#at));
    this.#wantedBytes = wantedBytes;
    this.#chunk = NOTHING;
    this.#at = 0;
    return undefined;
  }
}

function check(compressed: number, length: number, maxMessageBytes: number): void {
  if (length > maxMessageBytes) {
    // The words of grpc-go.
    const message = `grpc: received message larger than max (${length} vs. ${maxMessageBytes})`;
    throw new GrpcError(Status.RESOURCE_EXHAUSTED, message);
  }
  if (compressed === 0) return;
  if (compressed === 1) {
    throw new GrpcError(Status.INTERNAL, "grpc: compressed flag set with identity or empty encoding");
  }
  throw new GrpcError(Status.INTERNAL, `grpc: received unexpected payload format ${compressed}`);
}
