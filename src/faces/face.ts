/** How a face meets the server: one tiny interface; listeners, TLS, limits and shutting down are the server's. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Who asks, as far as the server could tell (behind a proxy only with --trust-proxy). */
export interface Peer {
  /** IP address of the client, without a port. */
  readonly address: string;
  /** `host[:port]` that the client used, checked to be one; absent where it sent none that is sound. */
  readonly host: string | undefined;
  readonly scheme: "http" | "https";
  /** Stands for the connection (the proxy's, behind one); the same object for all of its requests. */
  readonly connection: object;
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly peer: Peer;
  /** The request's path as it came, undecoded and without the query; never empty. */
  readonly path: string;
  /** What stood behind the `?`, undecoded; empty where nothing did. */
  readonly query: string;
  /** The largest body to take, in bytes (--max-request-bytes); absent: V2_BODY_BYTES. */
  readonly maxBodyBytes?: number;
  /** Aborts when the client has gone or the service is shutting down: whatever waits must end then. */
  readonly signal: AbortSignal;
  /**
   * Leaves the answer to later: `handle` may resolve before it is given. What a wait holds by a pending `handle` and a
   * signal is twice what the connection takes.
   */
  hold(held: HeldAnswer): void;
}

/** An answer that is given later. */
export interface HeldAnswer {
  /**
   * As the abort of a signal: the client has gone or the service is shutting down. Called within `hold` where that is so
   * already, perhaps more than once, and when the answer has been given too.
   */
  onGone(): void;
}

export interface HttpFace {
  readonly name: string;
  /** Whether requests for this raw path are this face's; the first face of a listener that claims a path gets it. */
  claims(path: string): boolean;
  /** Answers, or throws a MusterError before it has written anything (the server then answers in plain text). */
  handle(exchange: Exchange): Promise<void>;
}
