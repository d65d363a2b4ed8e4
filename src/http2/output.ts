/** What goes out by a connection: frames are gathered while the program runs, and written together before it waits. */
import type { Socket } from "node:net";
import { FRAME_HEAD_BYTES, type SentFrame, writeFrame, writeFrameHead } from "./frames.ts";

/** What is gathered at most before it is written, in bytes. */
const MOST_GATHERED_BYTES = 64 * 1024;

/** Payloads of as many bytes or more are not copied. */
const UNCOPIED_BYTES = 16 * 1024;

export class Output {
  readonly #socket: Socket;
  #frames: SentFrame[] = [];
  /** Of all that is gathered, and of what of it is copied. */
  #bytes = 0;
  #copiedBytes = 0;
  #isScheduled = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether the client reads more slowly than is written: bodies should wait for the socket's `drain`. */
  get isFull(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** How many bytes have not been given to the system. */
  get unsentBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** Nobody may change its payload any more. */
  add(frame: SentFrame): void {
    const { length } = frame.payload;
    this.#frames.push(frame);
    this.#bytes += FRAME_HEAD_BYTES + length;
    this.#copiedBytes += FRAME_HEAD_BYTES + (length < UNCOPIED_BYTES ? length : 0);
    if (this.#bytes >= MOST_GATHERED_BYTES) {
      this.flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      // Answers are made in promises, all of which run before it does.
      process.nextTick(flush, this);
    }
  }

  flush(): void {
    this.#isScheduled = false;
    if (this.#bytes === 0) return;
    const frames = this.#frames;
    // All that is copied has its memory in one go: one for each frame would cost more than the copying.
    const bytes = Buffer.allocUnsafe(this.#copiedBytes);
    const isOne = this.#copiedBytes === this.#bytes;
    this.#frames = [];
    this.#bytes = 0;
    this.#copiedBytes = 0;
    const socket = this.#socket;
    if (!socket.writable) return;
    if (isOne) {
      let at = 0;
      for (const frame of frames) at = writeFrame(bytes, at, frame);
      socket.write(bytes);
    } else {
      socket.cork();
      writeApart(socket, frames, bytes);
      socket.uncork();
    }
  }
}

function flush(output: Output): void {
  output.flush();
}

/** Writes frames of which the large ones are not copied; `bytes` has room for the rest. */
function writeApart(socket: Socket, frames: readonly SentFrame[], bytes: Buffer): void {
  let begin = 0;
  let at = 0;
  for (const frame of frames) {
    if (frame.payload.length < UNCOPIED_BYTES) {
      at = writeFrame(bytes, at, frame);
    } else {
      at = writeFrameHead(bytes, at, frame);
      socket.write(bytes.subarray(begin, at));
      socket.write(frame.payload);
      begin = at;
    }
  }
  if (at > begin) socket.write(bytes.subarray(begin, at));
}
