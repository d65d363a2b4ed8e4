/**
 * HTTP/2 requests for the faces: each goes through the server's own HTTP/1.1, over a connection within the process, so
 * that limits, waits and answers are the same whichever protocol somebody comes by. Browsers and curl use it over TLS;
 * it is not for many requests a second.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { pipeline } from "node:stream";
import { type BridgedFrom, BridgedSocket } from "./bridged-socket.ts";

export interface HttpBridgeOptions {
  /** Gives a connection to the HTTP/1.1 server. */
  readonly connect: (socket: BridgedSocket) => void;
}

/** Headers that speak of a connection of HTTP/1.1: HTTP/2 has none of them. */
const OF_CONNECTIONS = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

export class HttpBridge {
  readonly #connect: HttpBridgeOptions["connect"];

  constructor(options: HttpBridgeOptions) {
    this.#connect = options.connect;
  }

  /** Has a request answered; never throws. */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, from: BridgedFrom): void {
    // That the client has gone is told by the stream's end.
    stream.on("error", ignore);
    const method = headers[":method"] ?? "GET";
    if (method === "CONNECT") {
      stream.respond({ ":status": 405 }, { endStream: true });
      return;
    }
    const [ours, theServers] = BridgedSocket.pair(from);
    this.#connect(theServers);
    const request = httpRequest({
      createConnection: () => ours,
      method,
      path: headers[":path"] ?? "/",
      headers: requestHeaders(headers),
      setHost: false,
    });
    stream.once("close", () => ours.destroy());
    request.on("error", () => giveUp(stream));
    request.on("response", (response) => answer(stream, response));
    if (stream.endAfterHeaders) request.end();
    else stream.pipe(request);
  }
}

function requestHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    const counts = !name.startsWith(":") && !OF_CONNECTIONS.has(name) && name !== "te" && name !== "http2-settings";
    if (value !== undefined && counts) kept[name] = value;
  }
  const host = headers[":authority"] ?? headers.host;
  if (host !== undefined) kept.host = host;
  return kept;
}

function answer(stream: ServerHttp2Stream, response: IncomingMessage): void {
  if (stream.destroyed || stream.closed) return;
  const headers: Record<string, string | string[] | number> = { ":status": response.statusCode ?? 500 };
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined && !OF_CONNECTIONS.has(name)) headers[name] = value;
  }
  stream.respond(headers);
  pipeline(response, stream, (error) => {
    if (error !== null && error !== undefined) giveUp(stream);
  });
}

/** The answer broke off, or none came: a reset says so at any point of it. */
function giveUp(stream: ServerHttp2Stream): void {
  if (!stream.closed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}

function ignore(): void {
  // Told in another way.
}
