import { connect } from "node:net";

/** A connection that sends text and keeps what comes back, for what no well-behaved client would send. */
export interface RawConnection extends Disposable {
  send(text: string): void;
  /** Resolves with everything received so far once it matches; rejects with it when the connection ends first. */
  received(pattern: RegExp): Promise<string>;
  /** Resolves with everything received when the server closes (or resets) the connection. */
  readonly closed: Promise<string>;
}

/** Connects to the host and port of `url` and sends `text`. */
export function rawHttp(url: string, text: string): RawConnection {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ""));
  let all = "";
  let waiting: (() => void)[] = [];
  const look = () => {
    const now = waiting;
    waiting = [];
    for (const check of now) check();
  };
  const closed = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(all));
  });
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    all += chunk;
    look();
  });
  // A reset shows as the close that follows.
  socket.on("error", () => undefined);
  socket.write(text);
  return {
    closed,
    send: (more) => void socket.write(more),
    received: (pattern) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (pattern.test(all)) resolve(all);
          else waiting.push(check);
        };
        check();
        void closed.then(() => reject(new Error(`the connection ended without ${pattern}; received:\n${all}`)));
      }),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** Sends one request and gives the whole answer; the server is asked to close behind it. */
export function rawRequest(url: string, lines: readonly string[]): Promise<string> {
  return rawHttp(url, `${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n`).closed;
}
