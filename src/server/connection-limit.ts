/** Bounds the connections of a listener, and tells those that are too many so, instead of cutting them off. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
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

  /** Bounds what `server` accepts at all. Each connection is counted by whoever takes it up. */
  watch(server: Server): void {
    server.maxConnections = this.#max + MAX_REFUSED_CONNECTIONS;
  }

  /** Whether the request came by a connection that is one too many; then it has been answered. */
  refuses(request: IncomingMessage, response: ServerResponse): boolean {
    if (!this.isTooMany(request.socket)) return false;
    response.setHeader("Connection", "close");
    response.setHeader("Retry-After", "1");
    answerPlain(response, 503, this.whatToDo);
    return true;
  }

  /** Whether a connection is one too many. */
  isTooMany(socket: Socket): boolean {
    return this.#refused.size > 0 && this.#refused.has(socket);
  }

  /** What is said to those that are too many. */
  get whatToDo(): string {
    return `Try again later, or raise --max-connections: ${this.#max} connections are open`;
  }

  /** Counts a connection until it is closed. */
  count(socket: Socket): void {
    this.#open++;
    socket.on("close", this.#countEnd);
    if (this.#open > this.#max) this.#refuse(socket);
  }

  /** One function for all of them: with ten thousand connections, what each holds adds up. */
  readonly #countEnd = (): void => {
    this.#open--;
  };

  #refuse(socket: Socket): void {
    this.#refused.add(socket);
    socket.on("close", () => this.#refused.delete(socket));
    socket.setTimeout(REFUSED_CONNECTION_MS, () => socket.destroy());
    if (this.#logged) return;
    this.#logged = true;
    this.#log.warn({ max: this.#max }, "connections beyond --max-connections are answered 503; logged once");
  }
}
