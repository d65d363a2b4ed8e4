/** Tells HTTP/2 from HTTP/1.1 on a new connection: by what TLS negotiated, or by the first bytes. */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { HEADERS_DEADLINE_MS } from "../base/limits.ts";
import { PREFACE } from "../http2/frames.ts";
import { withEscapedTarget } from "./raw-target.ts";

export interface ProtocolSwitchOptions {
  /** Given connections whose first bytes have been put back. */
  readonly http1: (socket: Socket) => void;
  readonly http2: (socket: Socket) => void;
}

/** No method of HTTP/1.1 begins with as many bytes of HTTP/2's preface. */
const TELLING_BYTES = 3;

export class ProtocolSwitch {
  readonly #options: ProtocolSwitchOptions;
  /** Connections that have not said anything yet. */
  readonly #silent = new Set<Socket>();
  #isClosed = false;

  constructor(options: ProtocolSwitchOptions) {
    this.#options = options;
  }

  take(socket: Socket): void {
    if (this.#isClosed) socket.destroy();
    else if (socket instanceof TLSSocket) this.#byNegotiation(socket);
    else this.#byFirstBytes(socket);
  }

  /** Closes the connections that have not said anything, and those that still come. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#silent) socket.destroy();
  }

  #byNegotiation(socket: TLSSocket): void {
    if (socket.alpnProtocol === "h2") this.#options.http2(socket);
    else this.#options.http1(socket);
  }

  #byFirstBytes(socket: Socket): void {
    let first: Buffer | undefined;
    const forget = () => {
      clearTimeout(patience);
      this.#silent.delete(socket);
      socket.off("data", onData).off("error", forget).off("end", onEnd).off("close", forget);
    };
    const patience = setTimeout(() => socket.destroy(), HEADERS_DEADLINE_MS);
    const onData = (chunk: Buffer) => {
      first = first === undefined ? chunk : Buffer.concat([first, chunk]);
      if (first.length < TELLING_BYTES && PREFACE.subarray(0, first.length).equals(first)) return;
      forget();
      socket.pause();
      const isHttp2 = PREFACE.subarray(0, TELLING_BYTES).equals(first.subarray(0, TELLING_BYTES));
      socket.unshift(isHttp2 ? first : withEscapedTarget(first));
      if (isHttp2) return this.#options.http2(socket);
      this.#options.http1(socket);
      // A socket that was paused is not set going by those who listen to it.
      process.nextTick(() => socket.resume());
    };
    // Whoever says nothing gets no answer.
    const onEnd = () => socket.destroy();
    this.#silent.add(socket);
    socket.on("data", onData).on("error", forget).on("end", onEnd).on("close", forget);
  }
}
