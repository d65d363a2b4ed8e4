/**
 * An HTTP/1.1 client that sends paths as they are (fetch would clean `//` and `/./`) and shows an answer while it is
 * still coming, as long polls and streams need.
 */
import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { Headers } from "./case-scope.ts";

/** A plain request that has not ended by then has failed. */
const REQUEST_TIMEOUT_MS = 6000;

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Headers;
  readonly body?: string | Buffer | undefined;
}

/** A request under way, as much of its answer as has come. The promises never reject: `failure` says what went wrong. */
export class RawExchange {
  /** 0 until the headers are there. */
  status = 0;
  headers: Headers = {};
  text = "";
  finished = false;
  failure: string | undefined;
  /** When it finished, in ms since 1970. */
  receivedAt = 0;
  readonly whenHeaders: Promise<void>;
  readonly whenFinished: Promise<void>;
  /** Called after each piece of the body. */
  onData: () => void = () => {};
  readonly #request: ClientRequest;
  #abortReason: string | undefined;
  #tellHeaders: () => void = () => {};
  #tellFinished: () => void = () => {};

  constructor(sent: ClientRequest) {
    this.#request = sent;
    this.whenHeaders = new Promise((resolve) => {
      this.#tellHeaders = resolve;
    });
    this.whenFinished = new Promise((resolve) => {
      this.#tellFinished = resolve;
    });
    sent.on("error", (error) => this.#end(error.message));
    sent.on("response", (response) => this.#read(response));
  }

  /** Whether a kept-alive connection turned out to be closed: the request may be sent again on a new one. */
  get lostReusedConnection(): boolean {
    return this.failure !== undefined && this.status === 0 && this.#request.reusedSocket;
  }

  abort(reason: string): void {
    this.#abortReason = reason;
    this.#request.destroy();
    this.#end(reason);
  }

  #read(response: IncomingMessage): void {
    this.status = response.statusCode ?? 0;
    this.headers = singleHeaders(response.headers);
    response.setEncoding("utf8");
    response.on("data", (piece: string) => {
      this.text += piece;
      this.onData();
    });
    response.on("end", () => this.#end());
    response.on("error", (error) => this.#end(error.message));
    this.#tellHeaders();
  }

  #end(failure?: string): void {
    if (this.finished) {
      return;
    }
    this.finished = true;
    this.failure = this.#abortReason ?? failure;
    this.receivedAt = Date.now();
    this.#tellHeaders();
    this.#tellFinished();
  }
}

function singleHeaders(headers: IncomingHttpHeaders): Headers {
  const single: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    single[name] = Array.isArray(value) ? value.join(", ") : (value ?? "");
  }
  return single;
}

export class RawClient {
  readonly #base: URL;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(base: string) {
    this.#base = new URL(base);
  }

  /** Sends a request and hands it back as soon as it is under way. */
  open(raw: RawRequest): RawExchange {
    const { body } = raw;
    const headers = { ...raw.headers };
    if (body !== undefined && headers["transfer-encoding"] === undefined) {
      headers["content-length"] = String(Buffer.byteLength(body));
    }
    const { hostname: host, port } = this.#base;
    const { method, path } = raw;
    const sent = request({ agent: this.#agent, host, port, method, path, headers });
    const exchange = new RawExchange(sent);
    sent.end(body);
    return exchange;
  }

  /** Sends a request and waits for the whole answer, for REQUEST_TIMEOUT_MS at most. */
  async call(raw: RawRequest): Promise<RawExchange> {
    const exchange = this.open(raw);
    const timer = setTimeout(() => exchange.abort(`no answer in ${REQUEST_TIMEOUT_MS} ms`), REQUEST_TIMEOUT_MS);
    await exchange.whenFinished;
    clearTimeout(timer);
    return exchange.lostReusedConnection ? this.call(raw) : exchange;
  }

  close(): void {
    this.#agent.destroy();
  }
}
