/** Services as the server knows them, made of what is generated from a .proto file and the handlers of its methods. */
import type { MessageWriter } from "../base/message-writer.ts";
import type { Call, EncodedMessage, StreamCall } from "./call.ts";
import type { GrpcError } from "./grpc-error.ts";

/** Turns messages into bytes and back. The objects that are generated for messages are such. */
export interface Codec<Message> {
  /** Appends the message to `writer`, which is a new one where none is given. */
  encode(message: Message, writer?: MessageWriter): MessageWriter;
  /** May keep parts of `bytes`. Throws on what is no such message. */
  decode(bytes: Uint8Array): Message;
}

/** One method, as it is generated from a .proto file. */
export interface MethodDefinition {
  /** As in the .proto file: `Range`. */
  readonly name: string;
  readonly requestType: Codec<unknown>;
  readonly requestStream: boolean;
  readonly responseType: Codec<unknown>;
  readonly responseStream: boolean;
}

/** A service, as it is generated from a .proto file: `KVDefinition`. */
export interface ServiceDefinition {
  /** With its package: `etcdserverpb.KV`. */
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

type MessageOf<C> = C extends { decode(bytes: Uint8Array): infer Message } ? Message : never;

/**
 * A handler's type, whose parameters are not held against those of others (as TypeScript has it for methods): the server
 * keeps handlers of all kinds in one table and calls each with what its own codec made.
 */
type Handler<Request, CallOf, Response> = { handle(request: Request, call: CallOf): Promise<Response> }["handle"];

/** Gives the one answer to the one request. */
export type UnaryHandler<Request, Response> = Handler<Request, Call, Response | EncodedMessage>;

/** Answers one request with a stream, which ends when the handler's promise resolves. */
export type ServerStreamHandler<Request, Response> = Handler<Request, StreamCall<Response>, void>;

/**
 * Answers a stream of requests with a stream. The requests end when the client has no more, which does not end the call;
 * the iteration throws the signal's reason when the call is cancelled. Who does not iterate stops the client from sending.
 */
export type StreamHandler<Request, Response> = Handler<AsyncIterable<Request>, StreamCall<Response>, void>;

type HandlerOf<M extends MethodDefinition> = M["requestStream"] extends true
  ? StreamHandler<MessageOf<M["requestType"]>, MessageOf<M["responseType"]>>
  : M["responseStream"] extends true
    ? ServerStreamHandler<MessageOf<M["requestType"]>, MessageOf<M["responseType"]>>
    : UnaryHandler<MessageOf<M["requestType"]>, MessageOf<M["responseType"]>>;

/** The handlers of a service's methods, all of them. */
export type Handlers<D extends ServiceDefinition> = { readonly [K in keyof D["methods"]]: HandlerOf<D["methods"][K]> };

export interface ServiceOptions {
  /**
   * What clients are told of an error that a handler threw and that is no GrpcError. Without it: UNKNOWN, and not what
   * it was, which the server logs.
   */
  readonly toGrpcError?: (error: unknown) => GrpcError;
}

export type MethodKind = "unary" | "serverStream" | "stream";

/** A method with its handler. */
export interface Method {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly kind: MethodKind;
  readonly requestType: Codec<unknown>;
  readonly responseType: Codec<unknown>;
  /** A stream's first argument is an AsyncIterable of requests; what a stream's promise resolves to is not looked at. */
  readonly handle: AnyHandler;
  readonly toGrpcError: ((error: unknown) => GrpcError) | undefined;
}

type AnyHandler = Handler<unknown, StreamCall<unknown>, unknown>;

/** What a server is given: methods with their handlers. */
export interface Service {
  /** With its package: `etcdserverpb.KV`. */
  readonly name: string;
  readonly methods: readonly Method[];
}

/**
 * A service with all its methods.
 *
 *     defineService(HealthDefinition, { check: async ({ service }) => ({ status: statusOf(service) }), … })
 */
export function defineService<D extends ServiceDefinition>(
  definition: D,
  handlers: Handlers<D>,
  options?: ServiceOptions,
): Service;
export function defineService(
  definition: ServiceDefinition,
  handlers: Readonly<Record<string, AnyHandler | undefined>>,
  options: ServiceOptions = {},
): Service {
  return serviceOf(definition, handlers, options);
}

/** A service of which only some methods are served: the others are as unknown to the server. */
export function definePartOfService<D extends ServiceDefinition>(
  definition: D,
  handlers: Partial<Handlers<D>>,
  options?: ServiceOptions,
): Service;
export function definePartOfService(
  definition: ServiceDefinition,
  handlers: Readonly<Record<string, AnyHandler | undefined>>,
  options: ServiceOptions = {},
): Service {
  return serviceOf(definition, handlers, options);
}

function serviceOf(
  definition: ServiceDefinition,
  handlers: Readonly<Record<string, AnyHandler | undefined>>,
  options: ServiceOptions,
): Service {
  const methods: Method[] = [];
  for (const [key, method] of Object.entries(definition.methods)) {
    const handle = handlers[key];
    if (handle === undefined) continue;
    methods.push({
      path: `/${definition.fullName}/${method.name}`,
      kind: kindOf(method),
      requestType: method.requestType,
      responseType: method.responseType,
      handle,
      toGrpcError: options.toGrpcError,
    });
  }
  return { name: definition.fullName, methods };
}

function kindOf({ requestStream, responseStream }: MethodDefinition): MethodKind {
  if (requestStream) return "stream";
  return responseStream ? "serverStream" : "unary";
}
