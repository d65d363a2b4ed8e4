/** The connections of a listener with TLS that have not finished their handshake: no server of Node's ends these when it closes. */
import type { Server, Socket } from "node:net";

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
  }

  /** Cuts them off. */
  destroy(): void {
    for (const socket of this.#unfinished.values()) socket.destroy();
  }
}

function peerOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
