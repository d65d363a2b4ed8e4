/** One call on a stream of HTTP/2: reads its requests, runs its handler, answers, and knows when it is over. */
import { REQUEST_DEADLINE_MS, UNCOUNTED_CALL_BYTES } from "../base/limits.ts";
import { encodeFields } from "../http2/hpack-encoder.ts";
import type { RequestFields, ServerStream, StreamUser } from "../http2/server-stream.ts";
import type { CallPeer, StreamCall } from "./call.ts";
import { CallLoad } from "./connection-load.ts";
import { FrameReader, onlyMessage } from "./frame-reader.ts";
import { framesOf } from "./frame-writer.ts";
import { GrpcError } from "./grpc-error.ts";
import type { OpenCall } from "./open-calls.ts";
import { RequestQueue } from "./request-queue.ts";
import type { Method } from "./service.ts";
import { Status } from "./status.ts";
import { parseTimeout } from "./timeout.ts";
import { type Fields, RESPONSE_FIELDS, trailersOf } from "./trailers.ts";

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
  /** Who asks, as far as the fields say it too. */
  peerOf(fields: RequestFields): CallPeer;
}

/** What all calls of a method share. */
export interface Route {
  readonly method: Method;
  readonly host: CallHost;
}

const BEGIN = encodeFields(RESPONSE_FIELDS);
const OK = trailersOf(Status.OK, "");
const ENCODED_OK = encodeFields(OK);
const NOTHING_TO_WAIT_FOR = Promise.resolve();

export class ServerCall implements StreamCall<unknown>, StreamUser, OpenCall {
  requestBytes = 0;
  place = 0;
  /** Whether it was there when its server last looked for slow ones. */
  wasSwept = false;
  /** By performance.now(), where its server logs it; else 0. */
  begunMs = 0;
  readonly #stream: ServerStream;
  readonly #route: Route;
  readonly #origin: CallOrigin;
  /** What was answered; undefined where nothing was, or not yet. */
  #status: Status | undefined;
  /** Undefined as long as nothing came but a message that was whole. */
  #frames: FrameReader | undefined;
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
  #drained: Drained | undefined;

  constructor(stream: ServerStream, route: Route, origin: CallOrigin) {
    this.#stream = stream;
    this.#route = route;
    this.#origin = origin;
  }

  get path(): string {
    return this.#route.method.path;
  }

  get fields(): RequestFields {
    return this.#stream.fields;
  }

  get status(): Status | undefined {
    return this.#status;
  }

  get peer(): CallPeer {
    return this.#origin.peerOf(this.#stream.fields);
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
    stream.serve(this);
    const timeout = stream.fields["grpc-timeout"];
    if (timeout !== undefined && !this.#setDeadline(timeout)) return;
    if (this.#route.method.kind === "stream") {
      this.#requests = this.#requestQueue();
      this.#begin(this.#requests);
    }
    if (!stream.hasBody) this.onEnd();
  }

  send(response: unknown): Promise<void> {
    if (this.#isOver || this.#stream.isClosed) {
      return Promise.reject(this.#reason ?? new GrpcError(Status.CANCELLED, "the call is over"));
    }
    try {
      if (this.#write(response)) return NOTHING_TO_WAIT_FOR;
    } catch (error) {
      return Promise.reject(error);
    }
    this.#drained ??= new Drained();
    return this.#drained.promise;
  }

  /** Ends the call with an error, unless it is over. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    const { method, host } = this.#route;
    const told = error instanceof GrpcError ? error : host.translate(error, method);
    this.#reason = told;
    this.#finish(told.code, trailersOf(told.code, told.message));
    this.#tellOver(told);
  }

  /** Ends the call because the server stops, unless an answer is on its way. */
  stop(reason: GrpcError): void {
    if (this.#route.method.kind !== "unary" || !this.#hasBegun) this.fail(reason);
  }

  /** Ends what goes on for too long only because the client does not send all. */
  endIfSlow(): void {
    if (this.#hasBegun) return;
    this.fail(new GrpcError(Status.CANCELLED, `Send the whole request within ${REQUEST_DEADLINE_MS / 1000} s`));
  }

  onData(piece: Buffer): void {
    if (this.#isOver) return;
    try {
      if (this.#frames === undefined) {
        const { maxMessageBytes } = this.#route.host;
        const message = onlyMessage(piece, maxMessageBytes);
        if (message !== undefined) {
          this.#take(message);
          this.#countReceived(0);
          return;
        }
        this.#frames = new FrameReader({ maxMessageBytes });
      }
      this.#read(piece, this.#frames);
    } catch (error) {
      this.fail(error);
    }
  }

  onEnd(): void {
    if (this.#isOver) return;
    if (this.#frames?.isWithinMessage) this.fail(new GrpcError(Status.INTERNAL, "unexpected EOF"));
    else if (this.#requests !== undefined) this.#requests.end();
    else if (!this.#hasBegun) this.fail(new GrpcError(Status.INTERNAL, `${CARDINALITY}: received no request message`));
  }

  onDrain(): void {
    this.#unsent?.set(0);
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.resolve();
  }

  onClose(): void {
    this.#route.host.forget(this);
    this.#received?.set(0);
    this.#unsent?.set(0);
    if (!this.#isOver) {
      this.#isOver = true;
      if (this.#timer !== undefined) clearTimeout(this.#timer);
      this.#reason = new GrpcError(Status.CANCELLED, "context canceled");
    }
    if (this.#reason !== undefined) this.#tellOver(this.#reason);
  }

  /** Returns false where the call was refused. */
  #setDeadline(timeout: string): boolean {
    const timeoutMs = parseTimeout(timeout);
    if (timeoutMs === undefined) {
      this.fail(new GrpcError(Status.INTERNAL, `malformed grpc-timeout: ${JSON.stringify(timeout)}`));
      return false;
    }
    this.#timer = setTimeout(exceedDeadline, timeoutMs, this);
    return true;
  }

  #requestQueue(): RequestQueue {
    const stream = this.#stream;
    return new RequestQueue(this.#route.method.requestType, {
      pause: () => stream.pause(),
      resume: () => this.#readOn(),
      onTaken: (bytes) => {
        this.requestBytes = bytes;
        this.#countReceived(this.#frames?.unfinishedBytes ?? 0);
      },
      refuse: undecodable,
    });
  }

  #read(piece: Buffer, frames: FrameReader): void {
    frames.push(piece);
    this.#takeAll(frames);
  }

  /** Takes what has come, as far as there is room for it; the stream is paused where there is not. */
  #takeAll(frames: FrameReader): void {
    while (this.#requests?.isPaused !== true) {
      const message = frames.next();
      if (message === undefined) break;
      this.#take(message);
    }
    this.#countReceived(frames.unfinishedBytes);
  }

  /** There is room for requests again: first for those that have come. */
  #readOn(): void {
    try {
      if (this.#frames !== undefined) this.#takeAll(this.#frames);
    } catch (error) {
      this.fail(error);
    }
    if (this.#requests?.isPaused !== true) this.#stream.resume();
  }

  #countReceived(unfinishedBytes: number): void {
    const bytes = unfinishedBytes + (this.#requests?.waitingBytes ?? 0);
    if (bytes > UNCOUNTED_CALL_BYTES) this.#received ??= new CallLoad(this.#stream.connection);
    this.#received?.set(bytes);
  }

  #countUnsent(frames: readonly Uint8Array[]): void {
    let bytes = 0;
    for (const { length } of frames) bytes += length;
    if (bytes > UNCOUNTED_CALL_BYTES) this.#unsent ??= new CallLoad(this.#stream.connection);
    this.#unsent?.add(bytes);
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
      return this.#route.method.requestType.decode(message);
    } catch (error) {
      throw undecodable(error);
    }
  }

  #begin(request: unknown): void {
    this.#hasBegun = true;
    this.#route.method.handle(request, this).then(
      (response) => this.#onAnswer(response),
      (error) => this.fail(error),
    );
  }

  #onAnswer(response: unknown): void {
    if (this.#isOver || this.#stream.isClosed) return;
    try {
      if (this.#route.method.kind === "unary") this.#write(response);
      this.#finish(Status.OK, OK);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whether there is room for more. */
  #write(response: unknown): boolean {
    const frames = framesOf(response, this.#route.method.responseType);
    this.#countUnsent(frames);
    const stream = this.#stream;
    if (!stream.hasResponded) stream.respond(BEGIN, false);
    let hasRoom = true;
    for (const frame of frames) hasRoom = stream.write(frame);
    if (hasRoom) this.#unsent?.set(0);
    return hasRoom;
  }

  #finish(status: Status, trailers: Fields): void {
    this.#isOver = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    const stream = this.#stream;
    if (stream.isClosed) return;
    this.#status = status;
    if (stream.hasResponded) stream.end(trailers === OK ? ENCODED_OK : encodeFields(trailers));
    else stream.respond(encodeFields([...RESPONSE_FIELDS, ...trailers]), true);
  }

  #tellOver(reason: GrpcError): void {
    this.#requests?.fail(reason);
    this.#drained?.reject(reason);
    this.#aborter?.abort(reason);
  }
}

/** That there is room for more. A handler need not wait for it. */
class Drained {
  readonly promise: Promise<void>;
  resolve: () => void = ignore;
  reject: (reason: GrpcError) => void = ignore;

  constructor() {
    this.promise = new Promise<void>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(ignore);
  }
}

const CARDINALITY = "cardinality violation";

function exceedDeadline(call: ServerCall): void {
  call.fail(new GrpcError(Status.DEADLINE_EXCEEDED, "context deadline exceeded"));
}

function undecodable(error: unknown): GrpcError {
  const why = error instanceof Error ? error.message : String(error);
  return new GrpcError(Status.INTERNAL, `grpc: error unmarshalling request: ${why}`, { cause: error });
}

function ignore(): void {
  // Told in another way.
}
