/** One call on a stream of HTTP/2: reads its requests, runs its handler, answers, and knows when it is over. */
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { NO_BYTES } from "../base/bytes.ts";
import { REQUEST_DEADLINE_MS, UNCOUNTED_CALL_BYTES } from "../base/limits.ts";
import type { CallPeer, StreamCall } from "./call.ts";
import { CallLoad } from "./connection-load.ts";
import { FrameReader } from "./frame-reader.ts";
import { framesOf } from "./frame-writer.ts";
import { GrpcError } from "./grpc-error.ts";
import type { OpenCall } from "./open-calls.ts";
import { RequestQueue } from "./request-queue.ts";
import type { Method } from "./service.ts";
import { Status } from "./status.ts";
import { parseTimeout } from "./timeout.ts";
import { GRPC_CONTENT_TYPE, trailersOf, WITH_TRAILERS, WITHOUT_BODY } from "./trailers.ts";

/** What all calls of a server share. */
export interface CallHost {
  readonly maxMessageBytes: number;
  /** The status of an error that is no GrpcError. */
  translate(error: unknown, method: Method): GrpcError;
  /** Told of a call whose stream is closed. */
  forget(call: ServerCall): void;
}

/** The connection that a call came by. */
export interface CallOrigin {
  /** Who asks, as far as the headers say it too. */
  peerOf(headers: IncomingHttpHeaders): CallPeer;
}

export interface ServerCallOptions {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly method: Method;
  readonly host: CallHost;
  readonly origin: CallOrigin;
}

const RESPONSE_HEADERS = { ":status": 200, "content-type": GRPC_CONTENT_TYPE };
const OK_TRAILERS = trailersOf(Status.OK, "");
const NOTHING_TO_WAIT_FOR = Promise.resolve();

export class ServerCall implements StreamCall<unknown>, OpenCall {
  readonly headers: IncomingHttpHeaders;
  requestBytes = 0;
  place = 0;
  /** Whether it was there when its server last looked for slow ones. */
  wasSwept = false;
  readonly #stream: ServerHttp2Stream;
  readonly #method: Method;
  readonly #host: CallHost;
  readonly #origin: CallOrigin;
  readonly #frames: FrameReader;
  /** What is kept of its requests and of its answer; undefined as long as that is little. */
  #received: CallLoad | undefined;
  #unsent: CallLoad | undefined;
  /** Only of a method that takes a stream. */
  #requests: RequestQueue | undefined;
  #hasBegun = false;
  #isOver = false;
  /** Why nobody waits any more; undefined while somebody does, and after an answer. */
  #reason: GrpcError | undefined;
  #aborter: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #trailers: OutgoingHttpHeaders | undefined;
  #drained: Drained | undefined;

  constructor({ stream, headers, method, host, origin }: ServerCallOptions) {
    this.headers = headers;
    this.#stream = stream;
    this.#method = method;
    this.#host = host;
    this.#origin = origin;
    this.#frames = new FrameReader({ maxMessageBytes: host.maxMessageBytes });
  }

  get path(): string {
    return this.#method.path;
  }

  /** The number of the status that was answered; undefined where none was, or not yet. */
  get status(): string | undefined {
    const status = this.#trailers?.["grpc-status"];
    return typeof status === "string" ? status : undefined;
  }

  get peer(): CallPeer {
    return this.#origin.peerOf(this.headers);
  }

  get signal(): AbortSignal {
    if (this.#aborter === undefined) {
      this.#aborter = new AbortController();
      if (this.#reason !== undefined) this.#aborter.abort(this.#reason);
    }
    return this.#aborter.signal;
  }

  /** Begins to read. Never throws. */
  run(): void {
    const stream = this.#stream;
    // What went wrong with a stream is that it is closed.
    stream.on("error", ignore);
    stream.on("close", () => this.#onClose());
    if (!this.#setDeadline()) return;
    stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    stream.on("end", () => this.#onEnd());
    if (this.#method.kind !== "stream") return;
    this.#requests = this.#requestQueue();
    this.#begin(this.#requests);
  }

  send(response: unknown): Promise<void> {
    if (this.#isOver || this.#stream.destroyed || this.#stream.closed) {
      return Promise.reject(this.#reason ?? new GrpcError(Status.CANCELLED, "the call is over"));
    }
    try {
      if (this.#write(response)) return NOTHING_TO_WAIT_FOR;
    } catch (error) {
      return Promise.reject(error);
    }
    this.#drained ??= this.#waitForDrain();
    return this.#drained.promise;
  }

  /** Ends the call with an error, unless it is over. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    const told = error instanceof GrpcError ? error : this.#host.translate(error, this.#method);
    this.#reason = told;
    this.#finish(trailersOf(told.code, told.message));
    this.#tellOver(told);
  }

  /** Ends the call because the server stops, unless an answer is on its way. */
  stop(reason: GrpcError): void {
    if (this.#method.kind !== "unary" || !this.#hasBegun) this.fail(reason);
  }

  /** Ends what goes on for too long only because the client does not send all, or does not stop to send. */
  endIfSlow(): void {
    if (this.#isOver) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    else if (!this.#hasBegun) {
      this.fail(new GrpcError(Status.CANCELLED, `Send the whole request within ${REQUEST_DEADLINE_MS / 1000} s`));
    }
  }

  /** Returns false where the call was refused. */
  #setDeadline(): boolean {
    const header = this.headers["grpc-timeout"];
    if (header === undefined) return true;
    const timeoutMs = typeof header === "string" ? parseTimeout(header) : undefined;
    if (timeoutMs === undefined) {
      this.fail(new GrpcError(Status.INTERNAL, `malformed grpc-timeout: ${JSON.stringify(header)}`));
      return false;
    }
    const late = () => this.fail(new GrpcError(Status.DEADLINE_EXCEEDED, "context deadline exceeded"));
    this.#timer = setTimeout(late, timeoutMs);
    return true;
  }

  #requestQueue(): RequestQueue {
    const stream = this.#stream;
    return new RequestQueue(this.#method.requestType, {
      pause: () => void stream.pause(),
      resume: () => void stream.resume(),
      onTaken: (bytes) => {
        this.requestBytes = bytes;
        this.#countReceived();
      },
      refuse: undecodable,
    });
  }

  #onData(chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      this.#frames.push(chunk);
      for (let message = this.#frames.next(); message !== undefined; message = this.#frames.next()) this.#take(message);
      this.#countReceived();
    } catch (error) {
      this.fail(error);
    }
  }

  #countReceived(): void {
    const bytes = this.#frames.unfinishedBytes + (this.#requests?.waitingBytes ?? 0);
    if (bytes > UNCOUNTED_CALL_BYTES) this.#received ??= new CallLoad(this.#stream);
    this.#received?.set(bytes);
  }

  #countUnsent(frames: readonly Uint8Array[]): void {
    let bytes = 0;
    for (const { length } of frames) bytes += length;
    if (bytes > UNCOUNTED_CALL_BYTES) this.#unsent ??= new CallLoad(this.#stream);
    this.#unsent?.add(bytes);
  }

  #onEnd(): void {
    if (this.#isOver) return;
    if (this.#frames.isWithinMessage) this.fail(new GrpcError(Status.INTERNAL, "unexpected EOF"));
    else if (this.#requests !== undefined) this.#requests.end();
    else if (!this.#hasBegun) this.fail(new GrpcError(Status.INTERNAL, `${CARDINALITY}: received no request message`));
  }

  #take(message: Buffer): void {
    if (this.#requests !== undefined) {
      this.#requests.push(message);
    } else if (this.#hasBegun) {
      throw new GrpcError(Status.INTERNAL, `${CARDINALITY}: received multiple request messages`);
    } else {
      this.requestBytes = message.length;
      this.#begin(this.#decode(message));
    }
  }

  #decode(message: Buffer): unknown {
    try {
      return this.#method.requestType.decode(message);
    } catch (error) {
      throw undecodable(error);
    }
  }

  #begin(request: unknown): void {
    this.#hasBegun = true;
    this.#method.handle(request, this).then(
      (response) => this.#onAnswer(response),
      (error) => this.fail(error),
    );
  }

  #onAnswer(response: unknown): void {
    if (this.#isOver || this.#stream.destroyed) return;
    try {
      if (this.#method.kind === "unary") this.#finish(OK_TRAILERS, this.#writeAllButLast(response));
      else this.#finish(OK_TRAILERS);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whether there is room for more. */
  #write(response: unknown): boolean {
    const hasRoom = this.#stream.write(this.#writeAllButLast(response));
    if (hasRoom) this.#unsent?.set(0);
    return hasRoom;
  }

  /** Writes a message, but for its last piece, which is better sent together with the end of the stream. */
  #writeAllButLast(response: unknown): Uint8Array {
    const frames = framesOf(response, this.#method.responseType);
    this.#countUnsent(frames);
    const stream = this.#stream;
    if (!stream.headersSent) {
      stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
      stream.on("wantTrailers", () => stream.sendTrailers(this.#trailers ?? OK_TRAILERS));
    }
    for (let at = 0; at < frames.length - 1; at++) stream.write(frames[at]);
    return frames.at(-1) ?? NO_BYTES;
  }

  /** `last` is what is still to be sent before the trailers. */
  #finish(trailers: OutgoingHttpHeaders, last?: Uint8Array): void {
    this.#isOver = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#trailers = trailers;
    if (stream.headersSent) {
      stream.end(last);
    } else {
      stream.respond({ ...RESPONSE_HEADERS, ...trailers }, WITHOUT_BODY);
    }
  }

  #onClose(): void {
    this.#host.forget(this);
    this.#received?.set(0);
    this.#unsent?.set(0);
    if (!this.#isOver) {
      this.#isOver = true;
      if (this.#timer !== undefined) clearTimeout(this.#timer);
      this.#reason = new GrpcError(Status.CANCELLED, "context canceled");
    }
    if (this.#reason !== undefined) this.#tellOver(this.#reason);
  }

  #tellOver(reason: GrpcError): void {
    this.#requests?.fail(reason);
    this.#drained?.reject(reason);
    this.#aborter?.abort(reason);
  }

  #waitForDrain(): Drained {
    let reject: (reason: GrpcError) => void = ignore;
    const promise = new Promise<void>((resolve, rejectPromise) => {
      reject = rejectPromise;
      this.#stream.once("drain", () => {
        this.#drained = undefined;
        this.#unsent?.set(0);
        resolve();
      });
    });
    // A handler need not wait.
    promise.catch(ignore);
    return { promise, reject };
  }
}

interface Drained {
  readonly promise: Promise<void>;
  reject(reason: GrpcError): void;
}

const CARDINALITY = "cardinality violation";

function undecodable(error: unknown): GrpcError {
  const why = error instanceof Error ? error.message : String(error);
  return new GrpcError(Status.INTERNAL, `grpc: error unmarshalling request: ${why}`, { cause: error });
}

function ignore(): void {
  // Told in another way.
}
