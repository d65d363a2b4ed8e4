/**
 * HTTP/2 requests for the faces: each goes through the server's own HTTP/1.1, over a connection within the process, so
 * that limits, waits and answers are the same whichever protocol somebody comes by. Browsers and curl use it over TLS;
 * it is not for many requests a second.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { OF_CONNECTION } from "../http2/field.ts";
import { encodeFields } from "../http2/hpack-encoder.ts";
import { NO_USER } from "../http2/no-user.ts";
import { ErrorCode, type ServerStream, type StreamUser } from "../http2/server-stream.ts";
import { type BridgedFrom, BridgedSocket } from "./bridged-socket.ts";

export interface HttpBridgeOptions {
  /** Gives a connection to the HTTP/1.1 server. */
  readonly connect: (socket: BridgedSocket) => void;
}

/** What HTTP/1.1 would take for something else, or Node for a trailer that never comes: trailers are not passed on. */
const NOT_BRIDGED: ReadonlySet<string> = new Set(["te", "trailer", "http2-settings"]);

/** Statuses whose answers have no body, whatever their headers say of one. */
const WITHOUT_BODY: ReadonlySet<number | undefined> = new Set([204, 304]);

export class HttpBridge {
  readonly #connect: HttpBridgeOptions["connect"];

  constructor(options: HttpBridgeOptions) {
    this.#connect = options.connect;
  }

  /** Has a request answered; never throws. */
  handle(stream: ServerStream, from: BridgedFrom): void {
    const method = stream.fields[":method"] ?? "GET";
    // Methods are taken as they come, where Node would write them in capitals.
    if (method === "CONNECT" || method !== method.toUpperCase()) {
      refuse(stream, 405);
      return;
    }
    const [ours, theServers] = BridgedSocket.pair(from);
    let request: ClientRequest;
    try {
      request = httpRequest({
        createConnection: () => ours,
        method,
        path: stream.fields[":path"] ?? "/",
        headers: requestHeaders(stream),
        setHost: false,
      });
    } catch {
      // HTTP/2 has bytes in its fields that HTTP/1.1 cannot carry.
      refuse(stream, 400);
      return;
    }
    this.#connect(theServers);
    const bridged = new BridgedRequest(stream, request, ours);
    stream.serve(bridged);
    if (!stream.hasBody) bridged.onEnd();
  }
}

/** A request on both its connections. */
class BridgedRequest implements StreamUser {
  readonly #stream: ServerStream;
  readonly #request: ClientRequest;
  readonly #socket: BridgedSocket;
  #response: IncomingMessage | undefined;

  constructor(stream: ServerStream, request: ClientRequest, socket: BridgedSocket) {
    this.#stream = stream;
    this.#request = request;
    this.#socket = socket;
    request.on("error", () => this.#giveUp());
    request.on("drain", () => stream.resume());
    request.on("response", (response) => this.#answer(response));
  }

  onData(piece: Buffer): void {
    this.#try(() => {
      if (!this.#request.write(piece)) this.#stream.pause();
    });
  }

  onEnd(): void {
    this.#try(() => void this.#request.end());
  }

  onDrain(): void {
    this.#response?.resume();
  }

  onClose(): void {
    this.#socket.destroy();
  }

  #answer(response: IncomingMessage): void {
    const stream = this.#stream;
    const isWhole = this.#request.method === "HEAD" || WITHOUT_BODY.has(response.statusCode);
    this.#response = response;
    response.on("error", () => this.#giveUp());
    response.on("close", () => {
      if (!response.readableEnded) this.#stream.reset(ErrorCode.INTERNAL_ERROR);
    });
    stream.respond(encodeFields(responseFields(response)), isWhole);
    if (isWhole) {
      response.resume();
      return;
    }
    response.on("data", (piece: Buffer) => {
      if (!stream.write(piece)) response.pause();
    });
    response.on("end", () => stream.end());
  }

  /** Node writes the request's head with what comes first, and throws where it does not like it. */
  #try(send: () => void): void {
    try {
      send();
    } catch {
      this.#stream.reset(ErrorCode.INTERNAL_ERROR);
    }
  }

  /** The answer broke off, or none came: a reset says so at any point of it. */
  #giveUp(): void {
    if (this.#response?.complete !== true) this.#stream.reset(ErrorCode.INTERNAL_ERROR);
  }
}

function requestHeaders({ fields, hasBody }: ServerStream): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields)) {
    const counts = !name.startsWith(":") && !NOT_BRIDGED.has(name);
    if (value !== undefined && counts) kept[name] = value;
  }
  const host = fields[":authority"] ?? fields.host;
  if (host !== undefined) kept.host = host;
  // Of itself Node sends the body of a GET or DELETE as if nothing said where it ends, and it would be another request.
  if (hasBody && fields["content-length"] === undefined) kept["transfer-encoding"] = "chunked";
  return kept;
}

function responseFields({ statusCode = 500, headers }: IncomingMessage): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = [[":status", `${statusCode}`]];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || OF_CONNECTION.has(name)) continue;
    for (const one of [value].flat()) fields.push([name, one]);
  }
  return fields;
}

function refuse(stream: ServerStream, status: number): void {
  stream.serve(NO_USER);
  const fields = [
    [":status", `${status}`],
    ["date", new Date().toUTCString()],
  ] as const;
  stream.respond(encodeFields(fields), true);
}
