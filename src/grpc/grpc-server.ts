/** Services behind HTTP/2 streams: finds the method of a call, or says in grpc-go's words why there is none. */
import { REQUEST_DEADLINE_MS } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { StatusCounts } from "../base/traffic.ts";
import { encodeFields } from "../http2/hpack-encoder.ts";
import { NO_USER } from "../http2/no-user.ts";
import type { RequestFields, ServerStream } from "../http2/server-stream.ts";
import { GrpcError } from "./grpc-error.ts";
import { OpenCalls } from "./open-calls.ts";
import { type CallOrigin, type Route, ServerCall } from "./server-call.ts";
import type { Method, Service } from "./service.ts";
import { Status } from "./status.ts";
import { GRPC_CONTENT_TYPE, RESPONSE_FIELDS, trailersOf } from "./trailers.ts";

export interface GrpcServerOptions {
  readonly services: readonly Service[];
  readonly log: Log;
  /** The largest request message, in bytes. */
  readonly maxMessageBytes: number;
  /** A reason not to take a call at all, before anything of it is read. */
  readonly refusal?: (fields: RequestFields) => GrpcError | undefined;
  /** What is told for a method that is not here; without it UNIMPLEMENTED. */
  readonly unknownMethod?: (path: string) => GrpcError;
}

export class GrpcServer {
  readonly maxMessageBytes: number;
  /** Calls that have ended. */
  readonly answered = new StatusCounts();
  readonly #options: GrpcServerOptions;
  readonly #routes: ReadonlyMap<string, Route>;
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
    const methods = options.services.flatMap((service) => service.methods);
    this.#routes = new Map(methods.map((method) => [method.path, { method, host: this }]));
    this.#services = new Set(options.services.map(({ name }) => name));
  }

  /** Whether a request is gRPC's: by its content type, `application/grpc` with or without a flavour. */
  static speaks(fields: RequestFields): boolean {
    const type = fields["content-type"];
    if (type === undefined || !type.startsWith(GRPC_CONTENT_TYPE)) return false;
    const next = type[GRPC_CONTENT_TYPE.length];
    return next === undefined || next === "+" || next === ";";
  }

  /** Answers a call; never throws. */
  handle(stream: ServerStream, origin: CallOrigin): void {
    const { fields } = stream;
    const path = fields[":path"] ?? "";
    const route = this.#routes.get(path);
    const error = this.#refusal(fields);
    if (error !== undefined || route === undefined) {
      const told = error ?? this.#unknown(path);
      this.answered.count(told.code);
      refuseCall(stream, told);
      return;
    }
    const call = new ServerCall(stream, route, origin);
    this.#open.add(call);
    if (this.#logsCalls) call.begunMs = performance.now();
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
    this.answered.count(call.status ?? Status.CANCELLED);
    if (this.#logsCalls) this.#logCall(call);
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

  #logCall(call: ServerCall): void {
    const ms = Math.round((performance.now() - call.begunMs) * 10) / 10;
    const status = call.status === undefined ? "client gone" : `${call.status}`;
    this.#options.log.debug({ method: call.path, status, ms, peer: call.peer.address }, "call");
  }

  #refusal(fields: RequestFields): GrpcError | undefined {
    if (this.#isStopping) return stopping();
    if (fields[":method"] !== "POST") {
      const method = JSON.stringify(fields[":method"]);
      return new GrpcError(Status.INTERNAL, `Received a HEADERS frame with :method ${method} which should be POST`);
    }
    const encoding = fields["grpc-encoding"];
    if (encoding !== undefined && encoding !== "identity") {
      const message = `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`;
      return new GrpcError(Status.UNIMPLEMENTED, message);
    }
    return this.#options.refusal?.(fields);
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
export function refuseCall(stream: ServerStream, error: GrpcError): void {
  stream.serve(NO_USER);
  const trailers = trailersOf(error.code, error.message);
  stream.respond(encodeFields([...RESPONSE_FIELDS, ["grpc-accept-encoding", "identity"], ...trailers]), true);
}
