/**
 * What is no HTTP on a connection, or more of it than is taken: told so in its turn, behind the answers to all requests
 * before it, and then the connection ends, as nobody knows where the next request begins. Node would answer at once,
 * and cut off what it still owes: a write that was applied would look refused.
 */
import { type RequestListener, type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { LINGER_MS, MAX_HEADER_BYTES, PIPELINE_PATIENCE_MS } from "../base/limits.ts";

type Request = Parameters<RequestListener>[0];
type Response = Parameters<RequestListener>[1];

interface Refusal {
  readonly status: number;
  readonly whatToDo: string;
}

export class BrokenRequests {
  /** The response to the latest request of a connection: those before it are given earlier. */
  readonly #latest = new WeakMap<Duplex, Response>();
  readonly #refused = new WeakSet<Duplex>();

  /** Answers for what the server cannot read. */
  watch(server: Server): void {
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuse(socket, refusalOf(error)));
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
function end(socket: Duplex, { status, whatToDo }: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const title = `${status} ${STATUS_CODES[status] ?? ""}`;
  const head = [`HTTP/1.1 ${title}`, "Content-Type: text/plain; charset=utf-8", "Connection: close"];
  socket.end(`${[...head, "", `${title}: ${whatToDo}`].join("\r\n")}\n`);
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

function refusalOf({ code, message }: NodeJS.ErrnoException): Refusal {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return { status: 431, whatToDo: `Send at most ${MAX_HEADER_BYTES} bytes of URL and headers` };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, whatToDo: "Send no chunk extensions" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, whatToDo: "Send the whole request sooner" };
    default:
      return { status: 400, whatToDo: `Send requests of HTTP/1.1 (${message})` };
  }
}
