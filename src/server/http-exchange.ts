/** One request and its answer, as faces see them. What costs something is made only for who asks for it: most never do. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Exchange, HeldAnswer, Peer } from "../faces/face.ts";
import { peerOf } from "./peer.ts";

/** Waits under way, so that a stop can end them all. */
export class Waits {
  readonly #waiting = new Set<HttpExchange>();
  #over = false;

  /** Whether the service is stopping: no wait may begin any more. */
  get over(): boolean {
    return this.#over;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(exchange: HttpExchange): void {
    this.#waiting.add(exchange);
  }

  delete(exchange: HttpExchange): void {
    this.#waiting.delete(exchange);
  }

  /** Ends every wait, now and for good. */
  end(): void {
    this.#over = true;
    for (const exchange of [...this.#waiting]) exchange.abort();
  }
}

export class HttpExchange implements Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: string;
  readonly maxBodyBytes: number;
  readonly #waits: Waits;
  readonly #trustProxy: boolean;
  readonly #authority: string | undefined;
  #peer: Peer | undefined;
  #aborter: AbortController | undefined;
  #held: HeldAnswer | undefined;

  constructor(options: {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    readonly waits: Waits;
    readonly trustProxy: boolean;
    readonly maxBodyBytes: number;
  }) {
    this.request = options.request;
    this.response = options.response;
    this.#waits = options.waits;
    this.#trustProxy = options.trustProxy;
    this.maxBodyBytes = options.maxBodyBytes;
    const target = splitTarget(options.request.url ?? "/");
    this.path = target.path;
    this.query = target.query;
    this.#authority = target.authority;
  }

  get peer(): Peer {
    this.#peer ??= peerOf(this.request, { trustProxy: this.#trustProxy, authority: this.#authority });
    return this.#peer;
  }

  /** Made at the first use: an AbortController for each request would cost more than most requests. */
  get signal(): AbortSignal {
    if (this.#aborter !== undefined) return this.#aborter.signal;
    const aborter = new AbortController();
    this.#aborter = aborter;
    this.#wait();
    return aborter.signal;
  }

  /** Whether the answer comes later. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  hold(held: HeldAnswer): void {
    this.#held = held;
    this.#wait();
  }

  /** Ends the wait; its answer, if one comes, is the last on its connection. */
  abort(): void {
    if (!this.response.headersSent) this.response.setHeader("Connection", "close");
    this.#end();
  }

  #wait(): void {
    // No `close` comes of an answer whose turn came when its socket had gone.
    if (this.#waits.over || this.response.destroyed || this.request.socket.destroyed) {
      this.abort();
      return;
    }
    this.#waits.add(this);
    this.response.on("close", () => {
      this.#waits.delete(this);
      if (!this.response.writableFinished) this.#end();
    });
  }

  #end(): void {
    this.#aborter?.abort();
    this.#held?.onGone();
  }
}

interface Target {
  readonly path: string;
  readonly query: string;
  readonly authority: string | undefined;
}

/** Splits a request's target, as it came, at its first `?`; a whole URL (as proxies are asked) also gives its authority. */
export function splitTarget(target: string): Target {
  if (!target.startsWith("/")) {
    const [whole, authority] = /^https?:\/\/([^/?#]*)/i.exec(target) ?? [];
    if (whole !== undefined) return { ...splitTarget(rooted(target.slice(whole.length))), authority };
  }
  const mark = target.indexOf("?");
  if (mark === -1) return { path: target === "" ? "/" : target, query: "", authority: undefined };
  return { path: target.slice(0, mark), query: target.slice(mark + 1), authority: undefined };
}

function rooted(rest: string): string {
  return rest.startsWith("/") ? rest : `/${rest}`;
}
