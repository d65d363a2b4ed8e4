/** The HTTP/2 connections of a listener: gRPC calls go to their services, other requests to the HTTP faces. */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { KEEP_ALIVE_MS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { CallPeer } from "../grpc/call.ts";
import { GrpcError } from "../grpc/grpc-error.ts";
import { GrpcServer, refuseCall } from "../grpc/grpc-server.ts";
import type { CallOrigin } from "../grpc/server-call.ts";
import { Status } from "../grpc/status.ts";
import { Http2Connection } from "../http2/connection.ts";
import { encodeFields } from "../http2/hpack-encoder.ts";
import { ConnectionError } from "../http2/http2-error.ts";
import { NO_USER } from "../http2/no-user.ts";
import { ErrorCode, type RequestFields, type ServerStream } from "../http2/server-stream.ts";
import type { BridgedFrom } from "./bridged-socket.ts";
import type { ConnectionLimit } from "./connection-limit.ts";
import type { HttpBridge } from "./http-bridge.ts";

export interface Http2SessionsOptions {
  readonly grpc: GrpcServer;
  readonly bridge: Pick<HttpBridge, "handle">;
  readonly limit: ConnectionLimit;
  /** Who asks by a connection. */
  readonly peerOf: (from: BridgedFrom, fields: RequestFields) => CallPeer;
  readonly log: Log;
}

export class Http2Sessions {
  readonly #options: Http2SessionsOptions;
  readonly #sessions = new Set<Http2Session>();
  #isClosing = false;

  constructor(options: Http2SessionsOptions) {
    this.#options = options;
  }

  /** Takes over a connection of which nothing has been read, or what was read has been put back. */
  take(socket: Socket): void {
    const session = new Http2Session(socket, this.#options);
    this.#sessions.add(session);
    socket.once("close", () => this.#sessions.delete(session));
    if (this.#isClosing) session.close();
  }

  /** Lets calls under way end and takes no more, for as long as nobody cuts them off. */
  close(): void {
    this.#isClosing = true;
    for (const session of [...this.#sessions]) session.close();
  }

  /** Cuts off what is left. */
  destroy(): void {
    for (const session of [...this.#sessions]) session.destroy();
  }
}

/** One connection, and who is behind it. */
class Http2Session implements CallOrigin {
  readonly #connection: Http2Connection;
  readonly #socket: Socket;
  readonly #shared: Http2SessionsOptions;
  readonly #isTooMany: boolean;
  readonly #from: BridgedFrom;
  #isGrpc = false;
  /** Of whom `#peer` is; a connection gives the same fields to all requests that have the same. */
  #fields: RequestFields | undefined;
  #peer: CallPeer | undefined;

  constructor(socket: Socket, shared: Http2SessionsOptions) {
    this.#socket = socket;
    this.#shared = shared;
    this.#isTooMany = shared.limit.isTooMany(socket);
    const encrypted = socket instanceof TLSSocket;
    this.#from = { remoteAddress: socket.remoteAddress, encrypted, connection: socket };
    // One that is too many has its time from its limit.
    if (!this.#isTooMany) socket.setTimeout(KEEP_ALIVE_MS).on("timeout", () => this.#onIdle());
    this.#connection = new Http2Connection({
      socket,
      onStream: (stream) => this.#take(stream),
      onError: (err) => {
        const isOurs = err instanceof ConnectionError && err.code === ErrorCode.INTERNAL_ERROR;
        shared.log[isOurs ? "error" : "debug"]({ err }, "an HTTP/2 connection failed");
      },
    });
  }

  peerOf(fields: RequestFields): CallPeer {
    if (this.#peer === undefined || this.#fields !== fields) {
      this.#peer = this.#shared.peerOf(this.#from, fields);
      this.#fields = fields;
    }
    return this.#peer;
  }

  close(): void {
    this.#connection.close();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  #take(stream: ServerStream): void {
    if (this.#isTooMany) {
      this.#refuse(stream);
    } else if (GrpcServer.speaks(stream.fields)) {
      this.#keepOpen();
      this.#shared.grpc.handle(stream, this);
    } else {
      this.#shared.bridge.handle(stream, this.#from);
    }
  }

  /** Clients of gRPC keep a connection that they do not use: it stays as long as they do, as etcd's. */
  #keepOpen(): void {
    if (this.#isGrpc) return;
    this.#isGrpc = true;
    this.#socket.setTimeout(0);
  }

  /** The answer to a request that waits sets the time going anew. */
  #onIdle(): void {
    if (this.#connection.openStreams === 0) this.#connection.close();
  }

  #refuse(stream: ServerStream): void {
    const { whatToDo } = this.#shared.limit;
    if (GrpcServer.speaks(stream.fields)) refuseCall(stream, new GrpcError(Status.UNAVAILABLE, whatToDo));
    else refuseRequest(stream, whatToDo);
    this.#connection.close();
  }
}

const TOO_MANY = encodeFields([
  [":status", "503"],
  ["content-type", "text/plain; charset=utf-8"],
  ["retry-after", "1"],
]);

function refuseRequest(stream: ServerStream, text: string): void {
  stream.serve(NO_USER);
  stream.respond(TOO_MANY, false);
  stream.write(Buffer.from(`${text}\n`));
  stream.end();
}
