/** Services behind HTTP/2 streams: finds the method of a call, or says in grpc-go's words why there is none. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { REQUEST_DEADLINE_MS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { StatusCounts } from "../base/traffic.ts";
import { GrpcError } from "./grpc-error.ts";
import { OpenCalls } from "./open-calls.ts";
import { type CallOrigin, ServerCall } from "./server-call.ts";
import type { Method, Service } from "./service.ts";
import { Status } from "./status.ts";
import { GRPC_CONTENT_TYPE, trailersOf, WITHOUT_BODY } from "./trailers.ts";

export interface GrpcServerOptions {
  readonly services: readonly Service[];
  readonly log: Log;
  /** The largest request message, in bytes. */
  readonly maxMessageBytes: number;
  /** A reason not to take a call at all, before anything of it is read. */
  readonly refusal?: (headers: IncomingHttpHeaders) => GrpcError | undefined;
  /** What is told for a method that is not here; without it UNIMPLEMENTED. */
  readonly unknownMethod?: (path: string) => GrpcError;
}

export class GrpcServer {
  readonly maxMessageBytes: number;
  /** Calls that have ended. */
  readonly answered = new StatusCounts();
  readonly #options: GrpcServerOptions;
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #services: ReadonlySet<string>;
  /** Calls whose stream is open. */
  readonly #open = new OpenCalls<ServerCall>();
  #sweep: NodeJS.Timeout | undefined;
  #isStopping = false;
  readonly #logsCalls: boolean;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#logsCalls = options.log.isLevelEnabled("debug");
    this.maxMessageBytes = options.maxMessageBytes;
    this.#methods = new Map(options.services.flatMap(({ methods }) => methods.map((method) => [method.path, method])));
    this.#services = new Set(options.services.map(({ name }) => name));
  }

  /** Whether a request is gRPC's: by its content type, `application/grpc` with or without a flavour. */
  static speaks(headers: IncomingHttpHeaders): boolean {
    const type = headers["content-type"];
    if (type === undefined || !type.startsWith(GRPC_CONTENT_TYPE)) return false;
    const next = type[GRPC_CONTENT_TYPE.length];
    return next === undefined || next === "+" || next === ";";
  }

  /** Answers a call; never throws. */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, origin: CallOrigin): void {
    const method = this.#methods.get(headers[":path"] ?? "");
    const error = this.#refusal(headers) ?? (method === undefined ? this.#unknown(headers[":path"] ?? "") : undefined);
    if (error !== undefined || method === undefined) {
      const told = error ?? new GrpcError(Status.UNIMPLEMENTED, "");
      this.answered.count(told.code);
      refuseCall(stream, told);
      return;
    }
    const call = new ServerCall({ stream, headers, method, host: this, origin });
    this.#open.add(call);
    if (this.#logsCalls) this.#logWhenDone(stream, call);
    this.#sweep ??= setInterval(() => this.#endSlow(), REQUEST_DEADLINE_MS).unref();
    call.run();
  }

  translate(error: unknown, method: Method): GrpcError {
    const told = method.toGrpcError?.(error) ?? new GrpcError(Status.UNKNOWN, "internal error", { cause: error });
    if (told.code === Status.UNKNOWN || told.code === Status.INTERNAL) {
      this.#options.log.error({ method: method.path, err: error }, "a call failed");
    }
    return told;
  }

  forget(call: ServerCall): void {
    this.#open.delete(call);
    // Who has gone before the answer has canceled the call.
    this.answered.count(Number(call.status ?? Status.CANCELLED));
  }

  /** How many calls are under way or streaming. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** Ends streams with UNAVAILABLE, and takes no new calls. Single requests that have come are still answered. */
  stop(): void {
    this.#isStopping = true;
    clearInterval(this.#sweep);
    for (const call of this.#open.all()) call.stop(stopping());
  }

  /** Ends calls that were there at the last sweep, where it is their client that is slow. */
  #endSlow(): void {
    for (const call of this.#open.all()) {
      if (call.wasSwept) call.endIfSlow();
      else call.wasSwept = true;
    }
  }

  #logWhenDone(stream: ServerHttp2Stream, call: ServerCall): void {
    const begun = performance.now();
    const { address } = call.peer;
    stream.once("close", () => {
      const ms = Math.round((performance.now() - begun) * 10) / 10;
      const fields = { method: call.path, status: call.status ?? "client gone", ms, peer: address };
      this.#options.log.debug(fields, "call");
    });
  }

  #refusal(headers: IncomingHttpHeaders): GrpcError | undefined {
    if (this.#isStopping) return stopping();
    if (headers[":method"] !== "POST") {
      const method = JSON.stringify(headers[":method"]);
      return new GrpcError(Status.INTERNAL, `Received a HEADERS frame with :method ${method} which should be POST`);
    }
    const encoding = headers["grpc-encoding"];
    if (encoding !== undefined && encoding !== "identity") {
      const message = `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`;
      return new GrpcError(Status.UNIMPLEMENTED, message);
    }
    return this.#options.refusal?.(headers);
  }

  #unknown(path: string): GrpcError {
    if (this.#options.unknownMethod !== undefined) return this.#options.unknownMethod(path);
    const slash = path.lastIndexOf("/");
    if (!path.startsWith("/") || slash <= 0) {
      return new GrpcError(Status.UNIMPLEMENTED, `malformed method name: ${JSON.stringify(path)}`);
    }
    const service = path.slice(1, slash);
    if (!this.#services.has(service)) return new GrpcError(Status.UNIMPLEMENTED, `unknown service ${service}`);
    return new GrpcError(Status.UNIMPLEMENTED, `unknown method ${path.slice(slash + 1)} for service ${service}`);
  }
}

function stopping(): GrpcError {
  return new GrpcError(Status.UNAVAILABLE, "the server is stopping");
}

/** Answers a call with an error before anything of it is read. */
export function refuseCall(stream: ServerHttp2Stream, error: GrpcError): void {
  // That the client has gone needs nothing done about it.
  stream.on("error", () => undefined);
  if (stream.destroyed || stream.closed) return;
  const headers: OutgoingHttpHeaders = {
    ":status": 200,
    "content-type": GRPC_CONTENT_TYPE,
    "grpc-accept-encoding": "identity",
    ...trailersOf(error.code, error.message),
  };
  stream.respond(headers, WITHOUT_BODY);
  stream.resume();
}
