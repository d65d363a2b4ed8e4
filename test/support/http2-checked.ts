/** Http2Connection on a port of its own in this process, held to what its interface says to those who answer. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Http2Connection } from "../../src/http2/connection.ts";
import type { ErrorCode, RequestFields, ServerStream, StreamUser } from "../../src/http2/server-stream.ts";
import { literal } from "./h2-frames.ts";
import { testTls } from "./tls/test-tls.ts";

/** The fields of an answer: `:status` 200 and nothing else. */
export const OK = Uint8Array.of(0x88);
export const TRAILERS = literal("x-end", "yes");

/** Answers a stream, at once or later; what it returns is told of what comes. */
export type Handler = (stream: ServerStream) => Partial<StreamUser>;

export interface CheckedHttp2 extends AsyncDisposable {
  readonly port: number;
  /** Of the connections that are open, in the order in which they came. */
  readonly sockets: ReadonlySet<Socket>;
  readonly connections: ReadonlySet<Http2Connection>;
  /** Requests that were given to the handler. */
  readonly requests: number;
  /** Of these, those that were told that they are over. */
  readonly over: number;
}

export interface CheckedHttp2Options {
  readonly withTls?: boolean;
}

/** Its disposal rejects where an answerer was told what it was not to be told, or not told what it was. */
export async function serveChecked(
  handle: Handler,
  { withTls = false }: CheckedHttp2Options = {},
): Promise<CheckedHttp2> {
  const sockets = new Set<Socket>();
  const connections = new Set<Http2Connection>();
  const mistakes: string[] = [];
  let requests = 0;
  let over = 0;
  const onStream = (stream: ServerStream) => {
    requests++;
    const checked = new CheckedStream(stream, (mistake) => mistakes.push(`${stream.fields[":path"]}: ${mistake}`));
    checked.begin(handle, () => over++);
  };
  const take = (socket: Socket) => {
    const onError = (error: Error & { readonly code?: unknown }) => {
      if (error.code === 2) mistakes.push(`an internal error: ${String(error.cause)}`);
    };
    const connection = new Http2Connection({ socket, onStream, onError });
    sockets.add(socket);
    connections.add(connection);
    socket.once("close", () => {
      sockets.delete(socket);
      connections.delete(connection);
    });
  };
  const server = withTls
    ? createTlsServer({ ...testTls, ALPNProtocols: ["h2"] }, take)
    : createServer({ noDelay: true }, take);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    sockets,
    connections,
    get requests() {
      return requests;
    },
    get over() {
      return over;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of [...connections]) connection.destroy();
      await closed;
      if (over !== requests) mistakes.push(`${over} of ${requests} were told that they are over`);
      if (mistakes.length > 0) throw new Error(`not as the interface says:\n${mistakes.slice(0, 10).join("\n")}`);
    },
  };
}

/** Hands everything on, and looks at when it is called. */
class CheckedStream implements ServerStream {
  readonly #stream: ServerStream;
  readonly #tell: (mistake: string) => void;
  /** The call under way to the stream. */
  #within = "";
  #isPaused = false;
  #isOver = false;
  #hasEnded = false;
  #awaitsDrain = false;

  constructor(stream: ServerStream, tell: (mistake: string) => void) {
    this.#stream = stream;
    this.#tell = tell;
  }

  begin(handle: Handler, onOver: () => void): void {
    let user: Partial<StreamUser> = {};
    this.serve({
      onData: (piece) => {
        this.#check("onData");
        if (this.#isPaused) this.#tell("onData while it is paused");
        if (this.#hasEnded) this.#tell("onData after onEnd");
        if (piece.length === 0) this.#tell("onData of nothing");
        user.onData?.(piece);
      },
      onEnd: () => {
        this.#check("onEnd");
        if (this.#hasEnded) this.#tell("onEnd twice");
        if (!this.hasBody) this.#tell("onEnd of a request without a body");
        this.#hasEnded = true;
        user.onEnd?.();
      },
      onDrain: () => {
        this.#check("onDrain");
        if (!this.#awaitsDrain) this.#tell("onDrain that nobody waits for");
        this.#awaitsDrain = false;
        user.onDrain?.();
      },
      onClose: () => {
        if (this.#isOver) this.#tell("onClose twice");
        if (!["", "respond", "end", "reset"].includes(this.#within)) this.#tell(`onClose within ${this.#within}`);
        if (!this.isClosed) this.#tell("onClose of what is not closed");
        this.#isOver = true;
        onOver();
        user.onClose?.();
      },
    });
    user = handle(this);
  }

  get connection(): object {
    return this.#stream.connection;
  }

  get fields(): RequestFields {
    return this.#stream.fields;
  }

  get hasBody(): boolean {
    return this.#stream.hasBody;
  }

  get isClosed(): boolean {
    return this.#stream.isClosed;
  }

  get hasResponded(): boolean {
    return this.#stream.hasResponded;
  }

  serve(user: StreamUser): void {
    this.#call("serve", () => this.#stream.serve(user));
  }

  respond(fields: Uint8Array, isWhole: boolean): void {
    this.#call("respond", () => this.#stream.respond(fields, isWhole));
  }

  write(piece: Uint8Array): boolean {
    let hasRoom = false;
    this.#call("write", () => {
      hasRoom = this.#stream.write(piece);
    });
    if (!hasRoom) this.#awaitsDrain = true;
    return hasRoom;
  }

  end(trailers?: Uint8Array): void {
    this.#call("end", () => this.#stream.end(trailers));
  }

  reset(code: ErrorCode): void {
    this.#call("reset", () => this.#stream.reset(code));
  }

  pause(): void {
    this.#isPaused = true;
    this.#call("pause", () => this.#stream.pause());
  }

  resume(): void {
    this.#isPaused = false;
    this.#call("resume", () => this.#stream.resume());
  }

  #call(name: string, run: () => void): void {
    const before = this.#within;
    this.#within = name;
    run();
    this.#within = before;
  }

  #check(name: string): void {
    if (this.#isOver) this.#tell(`${name} after onClose`);
    if (this.#within !== "") this.#tell(`${name} within ${this.#within}`);
  }
}

/** Answers with what comes, a piece when it comes, and then trailers. */
export function echo(stream: ServerStream): Partial<StreamUser> {
  stream.respond(OK, !stream.hasBody);
  return {
    onData: (piece) => {
      if (!stream.write(Buffer.from(piece))) stream.pause();
    },
    onDrain: () => stream.resume(),
    onEnd: () => stream.end(TRAILERS),
  };
}

/** Answers with so many bytes, and never has more than a piece waiting beyond what it was told to. */
export function pour(stream: ServerStream, bytes: number, pieceBytes = 16_384): Partial<StreamUser> {
  stream.respond(OK, false);
  let left = bytes;
  const go = () => {
    while (left > 0 && !stream.isClosed) {
      const length = Math.min(left, pieceBytes);
      left -= length;
      if (!stream.write(Buffer.alloc(length, left % 251))) return;
    }
    if (left === 0) stream.end();
  };
  setImmediate(go);
  return { onDrain: go };
}

/**
 * What the paths of tests answer: `/echo`, `/wait` (nothing), `/pause` (nothing, and no body is read), `/pour/BYTES`
 * and, for all others, the path.
 */
export function answers(stream: ServerStream): Partial<StreamUser> {
  const path = stream.fields[":path"] ?? "";
  const [, kind, bytes] = path.split("/");
  if (kind === "echo") return echo(stream);
  if (kind === "pour") return pour(stream, Number(bytes));
  if (kind === "pause") stream.pause();
  if (kind === "wait" || kind === "pause") return {};
  stream.respond(OK, false);
  stream.write(Buffer.from(path));
  stream.end();
  return {};
}
