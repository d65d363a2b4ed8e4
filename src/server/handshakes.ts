/**
 * The connections of a listener with TLS that have not finished their handshake: no server of Node's ends these when it
 * closes, or answers those that begin with a request in clear.
 */
import type { Server, Socket } from "node:net";

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
    server.prependListener("tlsClientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      if (error.code === "ERR_SSL_HTTP_REQUEST") this.#unfinished.get(peerOf(socket))?.end(IN_CLEAR);
    });
  }

  /** Cuts them off. */
  destroy(): void {
    for (const socket of this.#unfinished.values()) socket.destroy();
  }
}

function peerOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
