/** A stream of a connection: the windows of both sides, what waits for them, and which side has ended. */
import { NO_BYTES } from "../base/bytes.ts";
import { HeldBytes } from "../base/held-bytes.ts";
import { HTTP2_STREAM_WINDOW_BYTES } from "../base/http2-limits.ts";
import { Flag, FrameType, MAX_WINDOW_BYTES, numberFrame } from "./frames.ts";
import { NO_USER } from "./no-user.ts";
import { PieceQueue } from "./piece-queue.ts";
import type { RequestHead } from "./request-head.ts";
import type { Sender, Waiting } from "./sender.ts";
import { ErrorCode, type RequestFields, type ServerStream, type StreamUser } from "./server-stream.ts";

/** What a stream asks of its connection. */
export interface StreamHost {
  /** So much of a body was taken up: the client may send as much more. */
  taken(bytes: number): void;
  /** Tells the client that a stream is over. */
  sendReset(streamId: number, code: ErrorCode): void;
  /** The stream is over. */
  forget(stream: Stream): void;
}

export interface StreamOptions {
  readonly id: number;
  readonly host: StreamHost;
  readonly sender: Sender;
  readonly head: RequestHead;
  readonly hasBody: boolean;
  /** What the client takes of a body before it says more, in bytes. */
  readonly sendWindow: number;
}

/** From here on a user is asked to wait before it writes more, in bytes. */
const HIGH_WATER_BYTES = 16 * 1024;

/** Larger pieces take turns with those of other streams, frame by frame. */
const MOST_SENT_AT_ONCE_BYTES = 64 * 1024;

/** The part of a window that is given back in one go. */
const RETURNED_BYTES = HTTP2_STREAM_WINDOW_BYTES / 2;

export class Stream implements ServerStream, Waiting {
  readonly id: number;
  readonly hasBody: boolean;
  isWaiting = false;
  readonly #host: StreamHost;
  readonly #sender: Sender;
  readonly #head: RequestHead;
  #user = NO_USER;
  #isClosed = false;
  #hasResponded = false;
  #isEnding = false;
  #trailers: Uint8Array | undefined;
  #sendWindow: number;
  /** What waits to be sent, which few streams ever have. */
  #unsent: PieceQueue | undefined;
  #wantsDrain = false;
  #receiveWindow = HTTP2_STREAM_WINDOW_BYTES;
  #received = 0;
  #hasReceivedEnd: boolean;
  #hasGivenEnd: boolean;
  #isPaused = false;
  /** What came while it was paused, which few streams ever are. */
  #held: HeldBytes | undefined;
  /** What was taken up and not given back to the window. */
  #takenBytes = 0;

  constructor({ id, host, sender, head, hasBody, sendWindow }: StreamOptions) {
    this.id = id;
    this.#host = host;
    this.#sender = sender;
    this.#head = head;
    this.hasBody = hasBody;
    this.#hasReceivedEnd = !hasBody;
    this.#hasGivenEnd = !hasBody;
    this.#sendWindow = sendWindow;
  }

  get connection(): object {
    return this.#host;
  }

  get fields(): RequestFields {
    return this.#head.fields;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get hasResponded(): boolean {
    return this.#hasResponded;
  }

  /** Whether the client has nothing more to send. */
  get isRequestWhole(): boolean {
    return this.#hasReceivedEnd;
  }

  serve(user: StreamUser): void {
    this.#user = user;
  }

  respond(fields: Uint8Array, isWhole: boolean): void {
    if (this.#isClosed || this.#hasResponded) return;
    this.#hasResponded = true;
    this.#sendFields(fields, isWhole);
    if (isWhole) this.#onSentEnd();
  }

  write(piece: Uint8Array): boolean {
    if (this.#isClosed || this.#isEnding) return true;
    if (piece.length === 0) return !this.#wantsDrain;
    if (this.#unsent === undefined && piece.length <= MOST_SENT_AT_ONCE_BYTES && piece.length <= this.#room) {
      this.#sendData(piece);
      return true;
    }
    this.#unsent ??= new PieceQueue();
    this.#unsent.push(piece);
    if (this.#sendWindow > 0) this.#sender.wait(this);
    if (this.#unsent.bytes >= HIGH_WATER_BYTES) this.#wantsDrain = true;
    return !this.#wantsDrain;
  }

  end(trailers?: Uint8Array): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#trailers = trailers;
    if (this.#unsent === undefined) this.#sendEnd();
  }

  reset(code: ErrorCode): void {
    if (this.#isClosed) return;
    this.#host.sendReset(this.id, code);
    this.close();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // Who resumes is in the middle of something.
    process.nextTick(() => this.#giveHeld());
  }

  sendOn(): void {
    const unsent = this.#unsent;
    if (this.#isClosed || unsent === undefined) return;
    const most = Math.min(this.#room, this.#sender.frameBytes);
    if (most > 0) this.#sendData(unsent.take(most));
    if (unsent.bytes === 0) this.#onSentAll();
    // Where its own window is closed, opening it sets it going again.
    else if (this.#sendWindow > 0) this.#sender.wait(this);
  }

  /** The client takes so much more, or less: then the window may be below zero (6.9.2). False where it is beyond all bounds. */
  widen(bytes: number): boolean {
    this.#sendWindow += bytes;
    if (this.#sendWindow > MAX_WINDOW_BYTES) return false;
    if (this.#unsent !== undefined && this.#sendWindow > 0) this.#sender.wait(this);
    return true;
  }

  /**
   * A piece of the body came, in a frame whose payload had `frameBytes`. Answers with what is wrong with it, if anything:
   * then the user was not told of it, and no window was opened.
   */
  receive(piece: Buffer, frameBytes: number): ErrorCode | undefined {
    if (this.#hasReceivedEnd) return ErrorCode.STREAM_CLOSED;
    if (frameBytes > this.#receiveWindow) return ErrorCode.FLOW_CONTROL_ERROR;
    this.#received += piece.length;
    if (this.#received > (this.#head.contentLength ?? Number.MAX_SAFE_INTEGER)) return ErrorCode.PROTOCOL_ERROR;
    this.#receiveWindow -= frameBytes;
    // Nobody looks at padding.
    this.#onTaken(frameBytes - piece.length);
    if (piece.length === 0) return undefined;
    if (this.#isPaused || this.#held !== undefined) {
      this.#held ??= new HeldBytes();
      this.#held.push(piece);
    } else {
      this.#give(piece);
    }
    return undefined;
  }

  /** The request is whole. Answers with what is wrong with that, if anything. */
  receiveEnd(): ErrorCode | undefined {
    if (this.#hasReceivedEnd) return ErrorCode.STREAM_CLOSED;
    const { contentLength } = this.#head;
    if (contentLength !== undefined && contentLength !== this.#received) return ErrorCode.PROTOCOL_ERROR;
    this.#hasReceivedEnd = true;
    if (!this.#isPaused && this.#held === undefined) this.#giveEnd();
    return undefined;
  }

  /** It is over, whether or not all was said. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#held !== undefined) this.#host.taken(this.#held.bytes);
    this.#held = undefined;
    this.#unsent = undefined;
    this.#sender.forget(this);
    this.#host.forget(this);
    this.#user.onClose();
  }

  get #room(): number {
    return Math.min(this.#sendWindow, this.#sender.room);
  }

  #sendFields(fields: Uint8Array, isLast: boolean): void {
    const { frameBytes } = this.#sender;
    const block = this.#sender.blockOf(fields);
    const endStream = isLast ? Flag.END_STREAM : 0;
    if (block.length <= frameBytes) {
      this.#send(FrameType.HEADERS, endStream | Flag.END_HEADERS, block);
      return;
    }
    this.#send(FrameType.HEADERS, endStream, block.subarray(0, frameBytes));
    for (let at = frameBytes; at < block.length; at += frameBytes) {
      const flags = at + frameBytes >= block.length ? Flag.END_HEADERS : 0;
      this.#send(FrameType.CONTINUATION, flags, block.subarray(at, at + frameBytes));
    }
  }

  /** For which there is room. */
  #sendData(piece: Uint8Array): void {
    const sender = this.#sender;
    this.#sendWindow -= piece.length;
    sender.spend(piece.length);
    const most = sender.frameBytes;
    for (let at = 0; at < piece.length; at += most) {
      this.#send(FrameType.DATA, 0, piece.length <= most ? piece : piece.subarray(at, at + most));
    }
  }

  #send(type: FrameType, flags: number, payload: Uint8Array): void {
    this.#sender.send({ type, flags, streamId: this.id, payload });
  }

  #onSentAll(): void {
    this.#unsent = undefined;
    if (this.#isEnding) {
      this.#sendEnd();
    } else if (this.#wantsDrain) {
      this.#wantsDrain = false;
      // Who writes is told by the answer that it is to wait, and only then that it need not.
      process.nextTick(() => {
        if (!this.#isClosed) this.#user.onDrain();
      });
    }
  }

  #sendEnd(): void {
    if (this.#trailers !== undefined) this.#sendFields(this.#trailers, true);
    else this.#send(FrameType.DATA, Flag.END_STREAM, NO_BYTES);
    this.#onSentEnd();
  }

  #onSentEnd(): void {
    this.#isEnding = true;
    if (this.#hasReceivedEnd) this.close();
    // A request that is answered need not go on (8.1).
    else this.reset(ErrorCode.NO_ERROR);
  }

  #give(piece: Buffer): void {
    this.#user.onData(piece);
    if (!this.#isClosed) this.#onTaken(piece.length);
    else this.#host.taken(piece.length);
  }

  #giveEnd(): void {
    if (this.#hasGivenEnd) return;
    this.#hasGivenEnd = true;
    this.#user.onEnd();
  }

  #giveHeld(): void {
    if (this.#isPaused || this.#isClosed) return;
    const piece = this.#held?.take();
    this.#held = undefined;
    if (piece !== undefined) this.#give(piece);
    if (!this.#isPaused && !this.#isClosed && this.#hasReceivedEnd) this.#giveEnd();
  }

  #onTaken(bytes: number): void {
    if (bytes === 0) return;
    this.#host.taken(bytes);
    this.#takenBytes += bytes;
    if (this.#takenBytes < RETURNED_BYTES || this.#hasReceivedEnd) return;
    this.#sender.send(numberFrame(FrameType.WINDOW_UPDATE, this.id, this.#takenBytes));
    this.#receiveWindow += this.#takenBytes;
    this.#takenBytes = 0;
  }
}
