/** The requests of one connection, one after the other, as Go's server takes them. */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";
import { MAX_PIPELINED_REQUESTS, PIPELINE_PATIENCE_MS } from "../base/limits.ts";

type Request = Parameters<RequestListener>[0];
type Response = Parameters<RequestListener>[1];

/**
 * Node hands requests out as soon as they are read, also those whose answers must wait for others of their connection
 * (pipelining): writes would overtake each other, and what stands behind a wait is never told that the client has gone.
 */
export class Pipeline {
  readonly #handle: RequestListener;
  readonly #patienceMs: number;
  /** How many requests have not had their turn, for connections that have such. */
  readonly #queued = new WeakMap<Socket, number>();

  constructor(options: { readonly handle: RequestListener; readonly patienceMs?: number }) {
    this.#handle = options.handle;
    this.#patienceMs = options.patienceMs ?? PIPELINE_PATIENCE_MS;
  }

  /** Hands a request on when all answers before its own have been given. For node:http's `request` event. */
  readonly take = (request: Request, response: Response): void => {
    // A response has the socket from the moment that it is its turn.
    if (response.socket !== null) this.#handle(request, response);
    else this.#queue(request, response);
  };

  #queue(request: Request, response: Response): void {
    const { socket } = request;
    const queued = (this.#queued.get(socket) ?? 0) + 1;
    this.#queued.set(socket, queued);
    if (queued > MAX_PIPELINED_REQUESTS) {
      socket.destroy();
      return;
    }
    // A body that is not read yet stops all reading, so that nothing would tell that the client has gone.
    const patience = setTimeout(() => socket.destroy(), this.#patienceMs).unref();
    response.once("socket", () => {
      clearTimeout(patience);
      this.#queued.set(socket, (this.#queued.get(socket) ?? 1) - 1);
      // Not yet: Node is in the middle of passing the socket on.
      process.nextTick(this.#handle, request, response);
    });
  }
}
