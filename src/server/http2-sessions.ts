/** The HTTP/2 connections of a listener: gRPC calls go to their services, other requests to the HTTP faces. */
import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import {
  HTTP2_CONNECTION_WINDOW_BYTES,
  HTTP2_RESET_BURST,
  HTTP2_RESETS_PER_SECOND,
  HTTP2_STREAM_WINDOW_BYTES,
  MAX_STREAMS_PER_CONNECTION,
} from "../base/http2-limits.ts";
import { HTTP2_SESSION_MEMORY_MB, KEEP_ALIVE_MS, MAX_HEADER_BYTES, MAX_HEADERS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { CallPeer } from "../grpc/call.ts";
import { GrpcError } from "../grpc/grpc-error.ts";
import { GrpcServer, refuseCall } from "../grpc/grpc-server.ts";
import type { CallOrigin } from "../grpc/server-call.ts";
import { Status } from "../grpc/status.ts";
import type { BridgedFrom } from "./bridged-socket.ts";
import type { ConnectionLimit } from "./connection-limit.ts";
import type { HttpBridge } from "./http-bridge.ts";

export interface Http2SessionsOptions {
  readonly grpc: GrpcServer;
  readonly bridge: HttpBridge;
  readonly limit: ConnectionLimit;
  /** Who asks by a connection. */
  readonly peerOf: (from: BridgedFrom, headers: IncomingHttpHeaders) => CallPeer;
  readonly log: Log;
}

const OPTIONS = {
  settings: {
    maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION,
    initialWindowSize: HTTP2_STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_HEADER_BYTES,
  },
  maxHeaderListPairs: MAX_HEADERS,
  maxSessionMemory: HTTP2_SESSION_MEMORY_MB,
  streamResetBurst: HTTP2_RESET_BURST,
  streamResetRate: HTTP2_RESETS_PER_SECOND,
};

export class Http2Sessions {
  readonly #options: Http2SessionsOptions;
  readonly #sessions = new Map<ServerHttp2Session, Socket>();
  #isClosing = false;

  constructor(options: Http2SessionsOptions) {
    this.#options = options;
  }

  /** Takes over a connection of which nothing has been read, or what was read has been put back. */
  take(socket: Socket): void {
    const session = performServerHandshake(socket, OPTIONS);
    const { log } = this.#options;
    const connection = new Http2Connection({ session, socket, shared: this.#options });
    this.#sessions.set(session, socket);
    socket.once("close", () => this.#sessions.delete(session));
    session.on("error", (err) => log.debug({ err }, "an HTTP/2 connection failed"));
    session.on("stream", (stream, headers) => connection.take(stream, headers));
    session.setLocalWindowSize(HTTP2_CONNECTION_WINDOW_BYTES);
    if (this.#isClosing) session.close();
  }

  /** Lets calls under way end and takes no more, for as long as nobody cuts them off. */
  close(): void {
    this.#isClosing = true;
    for (const session of [...this.#sessions.keys()]) session.close();
  }

  /** Cuts off what is left. */
  destroy(): void {
    for (const [session, socket] of [...this.#sessions]) {
      session.destroy();
      // A session that was closed before only ends its connection, and waits for the client to do so too.
      socket.destroy();
    }
  }
}

/** One connection, and who is behind it. */
class Http2Connection implements CallOrigin {
  readonly #session: ServerHttp2Session;
  readonly #shared: Http2SessionsOptions;
  readonly #isTooMany: boolean;
  readonly #from: BridgedFrom;
  #openRequests = 0;
  #isGrpc = false;

  constructor({ session, socket, shared }: ConnectionOptions) {
    this.#session = session;
    this.#shared = shared;
    this.#isTooMany = shared.limit.isTooMany(socket);
    const encrypted = socket instanceof TLSSocket;
    this.#from = { remoteAddress: socket.remoteAddress, encrypted, connection: socket };
    session.setTimeout(KEEP_ALIVE_MS, () => this.#onIdle());
  }

  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    if (this.#isTooMany) {
      this.#refuse(stream, headers);
      return;
    }
    if (GrpcServer.speaks(headers)) {
      this.#keepOpen();
      this.#shared.grpc.handle(stream, headers, this);
      return;
    }
    this.#openRequests++;
    stream.once("close", () => this.#openRequests--);
    this.#shared.bridge.handle(stream, headers, this.#from);
  }

  peerOf(headers: IncomingHttpHeaders): CallPeer {
    return this.#shared.peerOf(this.#from, headers);
  }

  /** Clients of gRPC keep a connection that they do not use: it stays as long as they do, as etcd's. */
  #keepOpen(): void {
    if (this.#isGrpc) return;
    this.#isGrpc = true;
    this.#session.setTimeout(0);
  }

  #onIdle(): void {
    if (this.#openRequests === 0) this.#session.close();
    else this.#session.setTimeout(KEEP_ALIVE_MS);
  }

  #refuse(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { whatToDo } = this.#shared.limit;
    if (GrpcServer.speaks(headers)) refuseCall(stream, new GrpcError(Status.UNAVAILABLE, whatToDo));
    else refuseRequest(stream, whatToDo);
    this.#session.close();
  }
}

interface ConnectionOptions {
  readonly session: ServerHttp2Session;
  readonly socket: Socket;
  readonly shared: Http2SessionsOptions;
}

function refuseRequest(stream: ServerHttp2Stream, text: string): void {
  // That the client has gone needs nothing done about it.
  stream.on("error", () => undefined);
  stream.respond({ ":status": 503, "content-type": "text/plain; charset=utf-8", "retry-after": "1" });
  stream.end(`${text}\n`);
}
