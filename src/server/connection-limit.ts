/** Bounds the connections of a listener, and tells those that are too many so, instead of cutting them off. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { MAX_REFUSED_CONNECTIONS, REFUSED_CONNECTION_MS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { answerPlain } from "./plain-answer.ts";

/** A 503 makes a node that boots try again, where a reset at a PUT may end it. */
export class ConnectionLimit {
  readonly #max: number;
  readonly #log: Log;
  readonly #refused = new Set<Socket>();
  #open = 0;
  #logged = false;

  constructor(options: { readonly max: number; readonly log: Log }) {
    this.#max = options.max;
    this.#log = options.log;
  }

  /** Counts the connections of `server`. */
  watch(server: Server): void {
    server.maxConnections = this.#max + MAX_REFUSED_CONNECTIONS;
    server.on("connection", (socket) => this.#count(socket));
  }

  /** Whether the request came by a connection that is one too many; then it has been answered. */
  refuses(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#refused.size === 0 || !this.#refused.has(request.socket)) return false;
    response.setHeader("Connection", "close");
    response.setHeader("Retry-After", "1");
    answerPlain(response, 503, `Try again later, or raise --max-connections: ${this.#max} connections are open`);
    return true;
  }

  #count(socket: Socket): void {
    this.#open++;
    if (this.#open > this.#max) this.#refuse(socket);
    socket.once("close", () => {
      this.#open--;
      this.#refused.delete(socket);
    });
  }

  #refuse(socket: Socket): void {
    this.#refused.add(socket);
    socket.setTimeout(REFUSED_CONNECTION_MS, () => socket.destroy());
    if (this.#logged) return;
    this.#logged = true;
    this.#log.warn({ max: this.#max }, "connections beyond --max-connections are answered 503; logged once");
  }
}
