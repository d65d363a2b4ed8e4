/**
 * What is no HTTP on a connection, or more of it than is taken: told so in its turn, behind the answers to all requests
 * before it, and then the connection ends, as nobody knows where the next request begins. Node would answer at once,
 * and cut off what it still owes: a write that was applied would look refused.
 */
import { type RequestListener, type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { LINGER_MS, PIPELINE_PATIENCE_MS } from "../base/limits.ts";

type Request = Parameters<RequestListener>[0];
type Response = Parameters<RequestListener>[1];

interface Refusal {
  readonly status: number;
  readonly whatToDo: string;
  /** Header lines beside those that every refusal has. */
  readonly headers?: readonly string[];
}

/** The methods that some path here knows; only those that the parser knows come to the face that could say which. */
const ALLOW = "Allow: HEAD,GET,PUT,POST,DELETE";

export class BrokenRequests {
  /** The response to the latest request of a connection: those before it are given earlier. */
  readonly #latest = new WeakMap<Duplex, Response>();
  readonly #refused = new WeakSet<Duplex>();
  readonly #maxHeaderBytes: number;

  constructor({ maxHeaderBytes }: { readonly maxHeaderBytes: number }) {
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  /** Answers for what the server cannot read. */
  watch(server: Server): void {
    server.on("clientError", (error: ParseError, socket) => this.#refuse(socket, this.#refusalOf(error)));
    server.on("connect", (_request, socket) => this.#refuse(socket, { status: 405, whatToDo: "This is no proxy" }));
  }

  /** To be told of each request when it arrives. */
  note(request: Request, response: Response): void {
    this.#latest.set(request.socket, response);
  }

  #refuse(socket: Duplex, refusal: Refusal): void {
    // What comes after is refused with it.
    if (this.#refused.has(socket)) return;
    this.#refused.add(socket);
    const latest = this.#latest.get(socket);
    if (latest === undefined || (latest.writableFinished && latest.req.complete)) end(socket, refusal);
    else if (latest.writableFinished) socket.destroy();
    else refuseBehind(latest, { socket, refusal });
  }

  #refusalOf(error: ParseError): Refusal {
    switch (error.code) {
      case "HPE_HEADER_OVERFLOW":
        return { status: 431, whatToDo: `Send at most ${this.#maxHeaderBytes} bytes of URL and headers` };
      case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
        return { status: 413, whatToDo: "Send no chunk extensions" };
      case "ERR_HTTP_REQUEST_TIMEOUT":
        return { status: 408, whatToDo: "Send the whole request sooner" };
      case "HPE_INVALID_METHOD":
        if (isRequestLine(error)) return { status: 405, whatToDo: "Send one of the methods allowed", headers: [ALLOW] };
        break;
    }
    return { status: 400, whatToDo: `Send requests of HTTP/1.1 (${error.message})` };
  }
}

function refuseBehind(latest: Response, { socket, refusal }: { socket: Duplex; refusal: Refusal }): void {
  const patience = setTimeout(() => socket.destroy(), PIPELINE_PATIENCE_MS).unref();
  const inTurn = () => {
    clearTimeout(patience);
    end(socket, refusal);
  };
  if (latest.req.complete) latest.once("close", inTurn);
  // It is the body that is broken: this is the answer to it, unless it has one.
  else if (latest.headersSent) latest.once("close", () => socket.destroy());
  else if (latest.socket === null) latest.once("socket", inTurn);
  else inTurn();
}

/** The connection is read on for a moment: closing it with something unread would take the answer back. */
function end(socket: Duplex, { status, whatToDo, headers = [] }: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const title = `${status} ${STATUS_CODES[status] ?? ""}`;
  const head = [`HTTP/1.1 ${title}`, "Content-Type: text/plain; charset=utf-8", "Connection: close", ...headers];
  socket.end(`${[...head, "", `${title}: ${whatToDo}`].join("\r\n")}\n`);
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/** What node:http adds to an error of its parser. */
interface ParseError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
  /** Where in it the parser stopped. */
  readonly bytesParsed?: number;
}

/** Whether the parser stopped in what is a request line, but for its method. */
function isRequestLine({ rawPacket, bytesParsed = 0 }: ParseError): boolean {
  const text = rawPacket?.toString("latin1") ?? "";
  const start = bytesParsed === 0 ? 0 : text.lastIndexOf("\n", bytesParsed - 1) + 1;
  return /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/1\.[01]\r?\n/.test(text.slice(start));
}
