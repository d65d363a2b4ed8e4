/** What goes out by a connection: frames are gathered while the program runs, and written together before it waits. */
import type { Socket } from "node:net";

/** What is gathered at most before it is written, in bytes. */
const MOST_GATHERED_BYTES = 64 * 1024;

/** Pieces of more bytes are not copied. */
const MOST_COPIED_BYTES = 16 * 1024;

export class Output {
  readonly #socket: Socket;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
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

  /** Nobody may change the piece any more. */
  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes >= MOST_GATHERED_BYTES) {
      this.flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      // Runs when all that could be answered now is answered: promises come before it.
      process.nextTick(flush, this);
    }
  }

  flush(): void {
    this.#isScheduled = false;
    if (this.#bytes === 0) return;
    const pieces = this.#pieces;
    const bytes = this.#bytes;
    this.#pieces = [];
    this.#bytes = 0;
    const socket = this.#socket;
    if (!socket.writable) return;
    if (pieces.some(({ length }) => length > MOST_COPIED_BYTES)) {
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    } else {
      socket.write(joined(pieces, bytes));
    }
  }
}

function flush(output: Output): void {
  output.flush();
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const all = Buffer.allocUnsafe(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
