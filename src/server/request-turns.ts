/** Takes up together the requests that arrived in one turn of the event loop. */
import type { RequestListener } from "node:http";
import { MAX_REQUESTS_PER_TURN } from "../base/limits.ts";

type Request = Parameters<RequestListener>[0];
type Response = Parameters<RequestListener>[1];

/**
 * Node reads the requests of all connections that are ready, one after the other. Handled one by one as they are read,
 * each makes its own way through the store and to its client; handled when all have been read, they share a read
 * transaction or a group commit, and their answers leave together. It costs a request no more than the reading of those
 * that came with it.
 */
export class RequestTurns {
  readonly #handle: RequestListener;
  #waiting: (readonly [Request, Response])[] = [];
  #next = 0;

  constructor(options: { readonly handle: RequestListener }) {
    this.#handle = options.handle;
  }

  /** Hands a request on at the end of this turn, or of a later one where very many came. For node:http's `request` event. */
  readonly take = (request: Request, response: Response): void => {
    if (this.#waiting.length === 0) setImmediate(this.#run);
    this.#waiting.push([request, response]);
  };

  readonly #run = (): void => {
    const end = Math.min(this.#next + MAX_REQUESTS_PER_TURN, this.#waiting.length);
    if (end < this.#waiting.length) setImmediate(this.#run);
    for (; this.#next < end; this.#next++) {
      const [request, response] = this.#waiting[this.#next] ?? [];
      if (request !== undefined && response !== undefined) this.#handle(request, response);
    }
    if (this.#next < this.#waiting.length) return;
    this.#waiting = [];
    this.#next = 0;
  };
}
