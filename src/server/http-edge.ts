/** Where HTTP requests enter: makes the exchange, refuses what no face should see, finds the face, answers for it when it fails. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isMusterError } from "../base/errors.ts";
import { type Log, redactPath } from "../base/log.ts";
import { StatusCounts } from "../base/traffic.ts";
import type { HttpFace } from "../faces/face.ts";
import type { ClientGuard } from "./client-guard.ts";
import { HttpExchange, Waits } from "./http-exchange.ts";
import { answerPlain, statusOf } from "./plain-answer.ts";

export interface HttpEdgeOptions {
  /** In order: the first that claims a path gets it. */
  readonly faces: readonly HttpFace[];
  readonly log: Log;
  readonly trustProxy: boolean;
  readonly maxBodyBytes: number;
  /** Only for listeners that stand for no authentication. */
  readonly guard?: ClientGuard;
}

/** The request handler of one kind of listener (public or client), shared by all its addresses. */
export class HttpEdge {
  /** What its listeners answered, refusals before a face included. */
  readonly answered = new StatusCounts();
  readonly #options: HttpEdgeOptions;
  readonly #waits = new Waits();
  readonly #logsRequests: boolean;

  constructor(options: HttpEdgeOptions) {
    this.#options = options;
    this.#logsRequests = options.log.isLevelEnabled("debug");
  }

  /** Answers a request; never throws. For node:http's `request` event. */
  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const { trustProxy, maxBodyBytes } = this.#options;
    const exchange = new HttpExchange({ request, response, waits: this.#waits, trustProxy, maxBodyBytes });
    if (this.#logsRequests) this.#logWhenDone(exchange);
    if (this.#waits.over) response.setHeader("Connection", "close");
    if (!this.#refused(exchange)) void this.#dispatch(exchange);
  };

  /** Requests that wait for something, or whose answer is long. */
  get openWaits(): number {
    return this.#waits.size;
  }

  /** Ends all waits, and lets every connection end with its next answer. */
  stop(): void {
    this.#waits.end();
  }

  #refused({ request, response }: HttpExchange): boolean {
    if (hasHosts(request)) {
      response.setHeader("Connection", "close");
      answerPlain(response, 400, "Send one Host header");
      return true;
    }
    const foreign = this.#options.guard?.refusal(request);
    if (foreign !== undefined) answerPlain(response, 403, foreign);
    return foreign !== undefined;
  }

  async #dispatch(exchange: HttpExchange): Promise<void> {
    const { response, path } = exchange;
    const face = this.#options.faces.find((candidate) => candidate.claims(path));
    // The words of Go's net/http, which clients of the original service have always seen.
    if (face === undefined) return answerPlain(response, 404, "404 page not found");
    try {
      await face.handle(exchange);
      if (!exchange.isHeld && !response.writableEnded && !response.destroyed) this.#finish(exchange, face);
    } catch (error) {
      this.#fail(exchange, face, error);
    }
  }

  /** For a face that gave up: rightly so when the service stops. */
  #finish({ response }: HttpExchange, face: HttpFace): void {
    if (response.headersSent) {
      // What was written last goes out first.
      process.nextTick(() => response.end());
    } else if (this.#waits.over) {
      answerPlain(response, 503, "Try again: the service is stopping");
    } else {
      this.#options.log.error({ face: face.name }, "a face did not answer a request");
      answerPlain(response, 500, statusOf(undefined).text);
    }
  }

  #fail({ response, path }: HttpExchange, face: HttpFace, error: unknown): void {
    const { status, text } = statusOf(error);
    // An error once the client has gone is only the news that it has.
    if (response.destroyed && !isMusterError(error)) return;
    if (status === 500)
      this.#options.log.error({ face: face.name, path: redactPath(path), err: error }, "a request failed");
    if (response.headersSent) response.destroy();
    else answerPlain(response, status, text);
  }

  #logWhenDone(exchange: HttpExchange): void {
    const { request, response } = exchange;
    const { address } = exchange.peer;
    const begun = performance.now();
    response.once("close", () => {
      const fields = {
        method: request.method,
        path: redactPath(exchange.path),
        status: response.writableFinished ? response.statusCode : "client gone",
        ms: Math.round((performance.now() - begun) * 10) / 10,
        peer: address,
      };
      this.#options.log.debug(fields, "request");
    });
  }
}

/** Whether there is more than one Host header: Node would take the first, and a proxy before it perhaps another. */
function hasHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const name = rawHeaders[place];
    if (name?.length === HOST.length && name.toLowerCase() === HOST) hosts++;
  }
  return hosts > 1;
}

const HOST = "host";
