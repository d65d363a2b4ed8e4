/**
 * The connections of a listener with TLS that have not finished their handshake: no server of Node's ends these when it
 * closes, answers those that begin with a request in clear, or tells of those that fail.
 */
import { type Server, Socket } from "node:net";
import type { FailedHandshakes, HandshakeError } from "./failed-handshakes.ts";
import { plainAddress } from "./peer.ts";

/**
 * A connection that just ends puzzles people, so they are told in clear, as Go's servers tell them. There it is a 400: a
 * node would end of that, though somebody may mend the listener while it tries again.
 */
const IN_CLEAR = [
  "HTTP/1.1 503 Service Unavailable",
  "Content-Type: text/plain; charset=utf-8",
  "Connection: close",
  "",
  "503 Service Unavailable: Begin the URL with https://: this address speaks TLS only\n",
].join("\r\n");

export class Handshakes {
  /** By the peer's address and port: the socket that TLS makes of a connection is another one. */
  readonly #unfinished = new Map<string, Socket>();
  readonly #failed: FailedHandshakes;
  #cutOff = false;

  constructor({ failed }: { readonly failed: FailedHandshakes }) {
    this.#failed = failed;
  }

  /** Watches the connections that `server`, which must be one with TLS, accepts from now on. */
  watch(server: Server): void {
    server.on("connection", (socket: Socket) => {
      const peer = peerOf(socket);
      this.#unfinished.set(peer, socket);
      socket.once("close", () => {
        if (this.#unfinished.get(peer) === socket) this.#unfinished.delete(peer);
      });
    });
    server.on("secureConnection", (socket: Socket) => this.#unfinished.delete(peerOf(socket)));
    server.prependListener("tlsClientError", (error: HandshakeError, socket: Socket) => {
      this.#tell(error, socket);
      if (error.code === "ERR_SSL_HTTP_REQUEST") this.#unfinished.get(peerOf(socket))?.end(IN_CLEAR);
    });
  }

  /** Cuts them off. */
  destroy(): void {
    this.#cutOff = true;
    for (const socket of this.#unfinished.values()) socket.destroy();
  }

  /** Who connects and says nothing only looks whether somebody listens, as load balancers do. */
  #tell(error: HandshakeError, socket: Socket): void {
    const connection = connectionOf(socket);
    if (this.#cutOff || connection?.bytesRead === 0) return;
    this.#failed.tell(error, plainAddress(connection?.remoteAddress ?? socket.remoteAddress ?? ""));
  }
}

/** The connection below TLS, where Node still has it there: only that one knows its peer once it has ended. */
function connectionOf(socket: Socket): Socket | undefined {
  const connection: unknown = Reflect.get(socket, "_parent");
  return connection instanceof Socket ? connection : undefined;
}

function peerOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
