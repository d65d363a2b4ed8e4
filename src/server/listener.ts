/** One address that is listened on: a node:http server with Muster's limits, opened and closed as a promise. */
import { createServer, type RequestListener, type Server } from "node:http";
import { MusterError } from "../base/errors.ts";
import {
  HEADERS_DEADLINE_MS,
  KEEP_ALIVE_MS,
  MAX_HEADER_BYTES,
  MAX_HEADERS,
  REQUEST_DEADLINE_MS,
} from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { BrokenRequests } from "./broken-requests.ts";
import type { ListenAddress } from "./config-values.ts";
import { ConnectionLimit } from "./connection-limit.ts";
import { Pipeline } from "./pipeline.ts";
import { RequestTurns } from "./request-turns.ts";

export interface ListenerOptions {
  readonly address: ListenAddress;
  /** The option that gave the address, for errors: `--listen`. */
  readonly option: string;
  readonly maxConnections: number;
  readonly handle: RequestListener;
  readonly log: Log;
}

/** How often connections that became idle while the service stops are looked for. */
const IDLE_SWEEP_MS = 50;

const TCP_KEEP_ALIVE_DELAY_MS = 30_000;

export class Listener {
  readonly #server: Server;
  /** `http://host:port` with the port that was chosen; a wildcard shows as it is (`http://0.0.0.0:8087`). */
  readonly url: string;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /** Errors: `addressInUse`; `configInvalid` where the address is not this machine's or is not allowed. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const limit = new ConnectionLimit({ max: options.maxConnections, log: options.log });
    const pipeline = new Pipeline({ handle: options.handle });
    const turns = new RequestTurns({
      handle: (request, response) => {
        if (!limit.refuses(request, response)) pipeline.take(request, response);
      },
    });
    const broken = new BrokenRequests();
    const server = createServer(SERVER_OPTIONS, (request, response) => {
      broken.note(request, response);
      turns.take(request, response);
    });
    broken.watch(server);
    server.maxHeadersCount = MAX_HEADERS;
    limit.watch(server);
    await listen(server, options);
    return new Listener(server, urlOf(server));
  }

  /**
   * Takes no more connections, lets requests under way finish for `graceMs`, then cuts off what is left. Idle
   * connections are closed at once.
   */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const sweep = setInterval(() => this.#server.closeIdleConnections(), IDLE_SWEEP_MS);
    const cut = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

const SERVER_OPTIONS = {
  keepAliveTimeout: KEEP_ALIVE_MS,
  headersTimeout: HEADERS_DEADLINE_MS,
  requestTimeout: REQUEST_DEADLINE_MS,
  maxHeaderSize: MAX_HEADER_BYTES,
  // A client that vanished without a word would hold its wait for ever.
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_DELAY_MS,
  noDelay: true,
};

async function listen(server: Server, options: ListenerOptions): Promise<void> {
  const { host, port } = options.address;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(cannotListen(error, options)));
    server.listen(host === undefined ? { port } : { host, port }, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", (err) => options.log.error({ err }, "a listener failed"));
}

function cannotListen(cause: NodeJS.ErrnoException, { option, address }: ListenerOptions): MusterError {
  const state = `cannot listen on ${address.text}`;
  if (cause.code === "EADDRINUSE") {
    const message = `Stop what uses port ${address.port}, or choose another with ${option}: ${state}, the port is in use`;
    return new MusterError("addressInUse", message, { cause });
  }
  const reason = REASONS[cause.code ?? ""] ?? cause.message;
  return new MusterError("configInvalid", `Set ${option} to another address: ${state}, ${reason}`, { cause });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "ports below 1024 need a right that this user has not",
  EADDRNOTAVAIL: "it is no address of this machine",
  ENOTFOUND: "the name is unknown",
};

function urlOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new MusterError("internal", "Listen on TCP only");
  return `http://${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`;
}
