/** gRPC calls as @grpc/grpc-js makes them, by the definitions that services are made of. */
import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import type { Codec } from "../../src/grpc/service.ts";

/** A method as it is generated, with the types of its messages. */
export interface ClientMethod<Request, Response> {
  readonly name: string;
  readonly requestType: Codec<Request>;
  readonly responseType: Codec<Response>;
}

export class GrpcClient implements Disposable {
  readonly #client: Client;

  /** `target` is `host:port` or a URL of which that counts. */
  constructor(target: string, options: ClientOptions = {}, channel = credentials.createInsecure()) {
    this.#client = new Client(target.replace(/^https?:\/\//, ""), channel, options);
  }

  /** @throws ServiceError with the code and details of the answer */
  unary<Request, Response>(call: CallOf<Request, Response>, request: Request): Promise<Response> {
    const { method } = call;
    return new Promise((resolve, reject) => {
      const onAnswer = (error: ServiceError | null, response?: Response) =>
        response === undefined ? reject(error) : resolve(response);
      const options: CallOptions = call.options ?? {};
      const metadata = call.metadata ?? new Metadata();
      const { serialize, deserialize } = codecsOf(method);
      this.#client.makeUnaryRequest(pathOf(call), serialize, deserialize, request, metadata, options, onAnswer);
    });
  }

  serverStream<Request, Response>(call: CallOf<Request, Response>, request: Request): ClientReadableStream<Response> {
    const { serialize, deserialize } = codecsOf(call.method);
    return this.#client.makeServerStreamRequest(pathOf(call), serialize, deserialize, request, call.options ?? {});
  }

  stream<Request, Response>(call: CallOf<Request, Response>): ClientDuplexStream<Request, Response> {
    const { serialize, deserialize } = codecsOf(call.method);
    return this.#client.makeBidiStreamRequest(pathOf(call), serialize, deserialize, call.options ?? {});
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

export interface CallOf<Request, Response> {
  /** `etcdserverpb.KV` */
  readonly service: string;
  readonly method: ClientMethod<Request, Response>;
  readonly metadata?: Metadata;
  readonly options?: CallOptions;
}

function pathOf({ service, method }: { readonly service: string; readonly method: { readonly name: string } }): string {
  return `/${service}/${method.name}`;
}

function codecsOf<Request, Response>({ requestType, responseType }: ClientMethod<Request, Response>) {
  return {
    serialize: (request: Request) => Buffer.from(requestType.encode(request).finish()),
    deserialize: (bytes: Buffer) => responseType.decode(bytes),
  };
}
