/** Frames out of the bytes of a connection, which come in pieces of any size. */
import { FRAME_HEAD_BYTES, type Frame, PREFACE, readUint31 } from "./frames.ts";
import { ConnectionError } from "./http2-error.ts";
import { ErrorCode } from "./server-stream.ts";

/** Given one frame after the other. */
export interface FrameTaker {
  /** Whether no more frames are wanted. */
  readonly isOver: boolean;
  takeFrame(frame: Frame): void;
}

const NOTHING = Buffer.alloc(0);

export class FrameSplitter {
  readonly #taker: FrameTaker;
  readonly #maxBytes: number;
  #prefaceBytes = 0;
  /** A frame that has not come whole; its memory is there only as long as there is such a one. */
  #held: Buffer = NOTHING;
  #heldBytes = 0;

  constructor(taker: FrameTaker, options: { readonly maxFrameBytes: number }) {
    this.#taker = taker;
    this.#maxBytes = options.maxFrameBytes;
  }

  /** @throws ConnectionError where the bytes are not those of HTTP/2, or as the taker throws it */
  push(chunk: Buffer): void {
    let at = this.#prefaceBytes < PREFACE.length ? this.#checkPreface(chunk) : 0;
    if (this.#heldBytes > 0) at = this.#fillHeld(chunk, at);
    while (chunk.length - at >= FRAME_HEAD_BYTES && !this.#taker.isOver) {
      const end = at + this.#frameBytes(chunk, at);
      if (end > chunk.length) break;
      this.#give(chunk, at, end);
      at = end;
    }
    if (at < chunk.length && !this.#taker.isOver) this.#hold(chunk, at);
  }

  #checkPreface(chunk: Buffer): number {
    const length = Math.min(PREFACE.length - this.#prefaceBytes, chunk.length);
    const expected = PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + length);
    if (!expected.equals(chunk.subarray(0, length))) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "this is no connection preface of HTTP/2");
    }
    this.#prefaceBytes += length;
    return length;
  }

  /** @throws ConnectionError for one that is too long */
  #frameBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUIntBE(at, 3);
    if (length <= this.#maxBytes) return FRAME_HEAD_BYTES + length;
    throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `frames have at most ${this.#maxBytes} bytes here`);
  }

  #give(bytes: Buffer, at: number, end: number): void {
    this.#taker.takeFrame({
      type: bytes[at + 3] ?? 0,
      flags: bytes[at + 4] ?? 0,
      streamId: readUint31(bytes, at + 5),
      payload: bytes.subarray(at + FRAME_HEAD_BYTES, end),
    });
  }

  /** Completes the frame that is held, if there is enough; the answer is where the next one begins. */
  #fillHeld(chunk: Buffer, begin: number): number {
    let at = this.#fillUpTo(FRAME_HEAD_BYTES, chunk, begin);
    if (this.#heldBytes < FRAME_HEAD_BYTES) return at;
    const wanted = this.#frameBytes(this.#held, 0);
    at = this.#fillUpTo(wanted, chunk, at);
    if (this.#heldBytes < wanted) return at;
    const held = this.#held;
    this.#held = NOTHING;
    this.#heldBytes = 0;
    this.#give(held, 0, wanted);
    return at;
  }

  #fillUpTo(wanted: number, chunk: Buffer, at: number): number {
    const end = Math.min(at + Math.max(wanted - this.#heldBytes, 0), chunk.length);
    this.#heldBytes += chunk.copy(this.#held, this.#heldBytes, at, end);
    return end;
  }

  #hold(chunk: Buffer, at: number): void {
    // Memory of its own: what is given of it may be kept, and is never written to again.
    this.#held = Buffer.allocUnsafeSlow(FRAME_HEAD_BYTES + this.#maxBytes);
    this.#heldBytes = chunk.copy(this.#held, 0, at);
  }
}
