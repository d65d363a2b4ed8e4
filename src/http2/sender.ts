/** What a connection sends, and how much of bodies it may send: they take turns, frame by frame. */
import type { Socket } from "node:net";
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES, type SentFrame } from "./frames.ts";
import { Output } from "./output.ts";
import type { PeerSettings } from "./peer-settings.ts";

/** A dynamic table size update to 0 (RFC 7541, 6.3). */
const NO_TABLE = Buffer.of(0x20);

/** Who has something to send. */
export interface Waiting {
  /** Written by the sender alone. */
  isWaiting: boolean;
  /** Sends at most one frame, and waits again if that was not all. */
  sendOn(): void;
}

export class Sender {
  readonly #output: Output;
  readonly #peer: PeerSettings;
  #window = DEFAULT_WINDOW_BYTES;
  /** In the order in which they have their turns. */
  #waiting: Waiting[] = [];
  #isPumping = false;
  #hasSentFields = false;

  constructor(socket: Socket, peer: PeerSettings) {
    this.#output = new Output(socket);
    this.#peer = peer;
    socket.on("drain", () => this.#pump());
  }

  /** The largest frame that the client takes, in bytes. */
  get frameBytes(): number {
    return this.#peer.frameBytes;
  }

  /** How much of bodies may be sent now, in bytes. */
  get room(): number {
    return this.#output.isFull ? 0 : Math.max(this.#window, 0);
  }

  /** What has been sent and not taken, in bytes. */
  get unsentBytes(): number {
    return this.#output.unsentBytes;
  }

  /** Sends a frame; where it is of a body, there is room for it. Nobody may change its payload any more. */
  send(frame: SentFrame): void {
    this.#output.add(frame);
  }

  /**
   * The fields as they are to be sent: the first block of a connection says that no table is kept for them, as one that the
   * client has made smaller is to be answered so (RFC 7541, 4.2), and any client takes it.
   */
  blockOf(fields: Uint8Array): Uint8Array {
    if (this.#hasSentFields) return fields;
    this.#hasSentFields = true;
    return Buffer.concat([NO_TABLE, fields]);
  }

  /** Takes so many bytes of a body from the room. */
  spend(bytes: number): void {
    this.#window -= bytes;
  }

  /** Gives a turn to who has something to send, when there is room. */
  wait(waiting: Waiting): void {
    if (waiting.isWaiting) return;
    waiting.isWaiting = true;
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1 && !this.#isPumping) process.nextTick(() => this.#pump());
  }

  /** Gives no turn any more to who has nothing to send. */
  forget(waiting: Waiting): void {
    if (!waiting.isWaiting) return;
    waiting.isWaiting = false;
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
  }

  /** The client takes so many bytes more of bodies. False where that is beyond all bounds. */
  widen(bytes: number): boolean {
    this.#window += bytes;
    if (this.#window > MAX_WINDOW_BYTES) return false;
    this.#pump();
    return true;
  }

  /** Gives what was sent to the system now. */
  flush(): void {
    this.#output.flush();
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.room > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      next.isWaiting = false;
      next.sendOn();
    }
    this.#isPumping = false;
  }
}
