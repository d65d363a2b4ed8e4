/** One address that is listened on, in clear or with TLS: HTTP/1.1 and HTTP/2 with Muster's limits, opened and closed as a promise. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { MusterError } from "../base/errors.ts";
import {
  HEADERS_DEADLINE_MS,
  KEEP_ALIVE_MS,
  MAX_HEADERS,
  REQUEST_DEADLINE_MS,
  TLS_HANDSHAKE_MS,
} from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { StatusCounts } from "../base/traffic.ts";
import type { GrpcServer } from "../grpc/grpc-server.ts";
import { BrokenRequests } from "./broken-requests.ts";
import type { ListenAddress } from "./config-values.ts";
import { ConnectionLimit } from "./connection-limit.ts";
import { FailedHandshakes } from "./failed-handshakes.ts";
import { Handshakes } from "./handshakes.ts";
import { HttpBridge } from "./http-bridge.ts";
import { countAnswers } from "./http-counts.ts";
import { Http2Sessions } from "./http2-sessions.ts";
import { http2PeerOf } from "./peer.ts";
import { Pipeline } from "./pipeline.ts";
import { ProtocolSwitch } from "./protocol-switch.ts";
import { RequestTurns } from "./request-turns.ts";
import type { TlsKeys } from "./tls-keys.ts";

export interface ListenerOptions {
  readonly address: ListenAddress;
  /** The option that gave the address, for errors: `--listen`. */
  readonly option: string;
  readonly maxConnections: number;
  /** What URL and headers of an HTTP/1.1 request may take together. */
  readonly maxHeaderBytes: number;
  readonly handle: RequestListener;
  readonly grpc: GrpcServer;
  readonly trustProxy: boolean;
  /** With it the address speaks TLS and nothing else. */
  readonly tls?: TlsKeys | undefined;
  /** Counts what is answered over HTTP. */
  readonly answered?: StatusCounts;
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
}

/** How often connections that became idle while the service stops are looked for. */
const IDLE_SWEEP_MS = 50;

const TCP_KEEP_ALIVE_DELAY_MS = 30_000;

export class Listener {
  readonly #server: Server;
  readonly #switch: ProtocolSwitch;
  readonly #http2: Http2Sessions;
  readonly #handshakes: Handshakes;
  readonly #stopCounting: () => void;
  /** `http://host:port` with the port that was chosen; a wildcard shows as it is (`http://0.0.0.0:8087`). */
  readonly url: string;

  private constructor(parts: Parts, url: string, stopCounting: () => void) {
    this.#server = parts.server;
    this.#switch = parts.protocols;
    this.#http2 = parts.http2;
    this.#handshakes = parts.handshakes;
    this.#stopCounting = stopCounting;
    this.url = url;
  }

  /** Errors: `addressInUse`; `configInvalid` where the address is not this machine's or is not allowed. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const parts = build(options);
    await listen(parts.server, options);
    const url = urlOf(parts.server, options.tls === undefined ? "http" : "https");
    const { answered } = options;
    return new Listener(parts, url, answered === undefined ? () => undefined : countAnswers(parts.server, answered));
  }

  /**
   * Takes no more connections, lets requests under way finish for `graceMs`, then cuts off what is left. Idle
   * connections, and those in a TLS handshake, are closed at once.
   */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#handshakes.destroy();
    this.#switch.close();
    this.#http2.close();
    const sweep = setInterval(() => this.#server.closeIdleConnections(), IDLE_SWEEP_MS);
    const cut = setTimeout(() => {
      this.#server.closeAllConnections();
      this.#http2.destroy();
    }, graceMs);
    await closed;
    this.#stopCounting();
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

interface Parts {
  readonly server: Server;
  readonly protocols: ProtocolSwitch;
  readonly http2: Http2Sessions;
  readonly handshakes: Handshakes;
}

function build(options: ListenerOptions): Parts {
  const limit = new ConnectionLimit({ max: options.maxConnections, log: options.log });
  const server = httpServer(options, limit);
  limit.watch(server);
  const event = options.tls === undefined ? "connection" : "secureConnection";
  // What node:http would do with a connection is done once it is known that it speaks HTTP/1.1.
  const [takeHttp1] = server.listeners(event);
  server.removeAllListeners(event);
  const connect = (socket: Duplex) => void (takeHttp1 && Reflect.apply(takeHttp1, server, [socket]));
  const http2 = new Http2Sessions({
    grpc: options.grpc,
    bridge: new HttpBridge({ connect }),
    limit,
    peerOf: (from, fields) => http2PeerOf(from, fields, options.trustProxy),
    log: options.log,
  });
  const protocols = new ProtocolSwitch({ http1: connect, http2: (socket) => http2.take(socket) });
  server.on(event, (socket: Socket) => {
    limit.count(socket);
    protocols.take(socket);
  });
  const { clock, log, address } = options;
  const handshakes = new Handshakes({ failed: new FailedHandshakes({ clock, log, listener: address.text }) });
  if (options.tls !== undefined) handshakes.watch(server);
  return { server, protocols, http2, handshakes };
}

function httpServer({ handle, tls, maxHeaderBytes }: ListenerOptions, limit: ConnectionLimit): Server {
  const pipeline = new Pipeline({ handle });
  const turns = new RequestTurns({
    handle: (request, response) => {
      if (!limit.refuses(request, response)) pipeline.take(request, response);
    },
  });
  const broken = new BrokenRequests({ maxHeaderBytes });
  const take: RequestListener = (request, response) => {
    broken.note(request, response);
    turns.take(request, response);
  };
  const options = { ...SERVER_OPTIONS, maxHeaderSize: maxHeaderBytes };
  const server =
    tls === undefined ? createServer(options, take) : createTlsServer({ ...options, ...tls, ...TLS_OPTIONS }, take);
  broken.watch(server);
  server.maxHeadersCount = MAX_HEADERS;
  return server;
}

const SERVER_OPTIONS = {
  keepAliveTimeout: KEEP_ALIVE_MS,
  headersTimeout: HEADERS_DEADLINE_MS,
  requestTimeout: REQUEST_DEADLINE_MS,
  // A client that vanished without a word would hold its wait for ever.
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_DELAY_MS,
  noDelay: true,
};

const TLS_OPTIONS = { ALPNProtocols: ["h2", "http/1.1"], handshakeTimeout: TLS_HANDSHAKE_MS };

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

function urlOf(server: Server, scheme: "http" | "https"): string {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new MusterError("internal", "Listen on TCP only");
  return `${scheme}://${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`;
}
