/**
 * One HTTP/1.1 connection as plain as can be: text out, whole answers in. For requests that differ it takes less than
 * half of the processor time that autocannon takes (docs/performance.md), and what the client takes, a server with
 * several threads lacks.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** In latin1; with the framing of its chunks where it came in such. */
  readonly body: string;
}

/** What every connection reads into, one at a time: a buffer for each read would take longer than the reading. */
const RECEIVED = Buffer.allocUnsafeSlow(64 * 1024);

export class Connection {
  readonly #socket: Socket;
  #received = "";
  #onAnswer: (answer: Answer) => void = () => undefined;
  #onHead: (() => void) | undefined;

  private constructor(url: string, onError: (error: Error) => void) {
    const { hostname, port } = new URL(url);
    const callback = (length: number) => {
      this.#take(RECEIVED.toString("latin1", 0, length));
      return true;
    };
    const socket = connect({ host: hostname, port: Number(port), onread: { buffer: RECEIVED, callback } });
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("error", onError);
    socket.on("end", () => onError(new Error("keep connections open: the server closed one")));
  }

  /** Opens a connection to the host and port of `url`; `onError` is told when it breaks. */
  static async open(url: string, onError: (error: Error) => void): Promise<Connection> {
    const connection = new Connection(url, onError);
    await once(connection.#socket, "connect");
    return connection;
  }

  /** Sends the bytes of a whole request; the next one may be sent from `onAnswer` on. */
  send(request: string, onAnswer: (answer: Answer) => void): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(request, "latin1");
  }

  /** Sends a long poll; `onHead` is told when the server has said that it waits. */
  wait(request: string, told: { readonly onHead: () => void; readonly onAnswer: (answer: Answer) => void }): void {
    this.#onHead = told.onHead;
    this.send(request, told.onAnswer);
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.on("error", () => undefined).destroy();
  }

  #take(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const onHead = this.#onHead;
    this.#onHead = undefined;
    onHead?.();
    const bodyStart = headEnd + HEAD_END.length;
    if (!isWhole(this.#received, bodyStart)) return;
    const answer = { status: Number(this.#received.slice(9, 12)), body: this.#received.slice(bodyStart) };
    this.#received = "";
    this.#onAnswer(answer);
  }
}

/** The bytes of a request to `host` (with its port); with a form body where there is one. */
export function requestText(
  host: string,
  { method, path, body }: { readonly method: string; readonly path: string; readonly body?: string | undefined },
): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n`;
  if (body === undefined) return `${head}\r\n`;
  return `${head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";

function isWhole(received: string, bodyStart: number): boolean {
  const length = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, bodyStart))?.[1];
  if (length !== undefined) return received.length >= bodyStart + Number(length);
  return received.endsWith(LAST_CHUNK);
}
