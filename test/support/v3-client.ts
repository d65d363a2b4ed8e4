/** A gRPC client of etcd's v3 services that knows nothing of Muster's own code: grpc-js, on the messages of proto/. */
import { fileURLToPath } from "node:url";
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const definition = loadSync("etcdserverpb.proto", {
  includeDirs: [fileURLToPath(new URL("../../proto", import.meta.url))],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** What a call may take. */
const DEADLINE_MS = 30_000;

/** What a call came to: etcd's answer, or the code and words of its refusal. */
export type Outcome =
  | { readonly ok: true; readonly answers: readonly object[] }
  | { readonly ok: false; readonly code: number; readonly details: string; readonly answers: readonly object[] };

/** A method by service and name, such as `KV/Range`. */
function methodOf(path: string): MethodDefinition<object, object> {
  const [service = "", name = ""] = path.split("/");
  const methods = definition[`etcdserverpb.${service}`];
  const method = methods !== undefined && !("format" in methods) ? Reflect.get(methods, name) : undefined;
  if (method === undefined) throw new Error(`declare it in proto/etcdserverpb.proto: "${path}"`);
  return method;
}

export class V3Client implements Disposable {
  readonly #client: Client;

  /** `address`: `127.0.0.1:2379`. */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** One request; the answer of a unary method, or all that a streaming one answers until it ends. */
  async call(path: string, request: object): Promise<Outcome> {
    const method = methodOf(path);
    if (method.responseStream) return method.requestStream ? this.#oneOf(method, request) : this.#all(method, request);
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        deadline(),
        (error: ServiceError | null, answer?: object) => {
          resolve(error === null ? { ok: true, answers: answer === undefined ? [] : [answer] } : refusal(error, []));
        },
      );
    });
  }

  /** A stream in both directions. */
  duplex(path: string): ClientDuplexStream<object, object> {
    const method = methodOf(path);
    return this.#client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #all(method: MethodDefinition<object, object>, request: object): Promise<Outcome> {
    const stream = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      deadline(),
    );
    return collected(stream);
  }

  /** One question on a stream in both directions, which the client then ends. */
  #oneOf(method: MethodDefinition<object, object>, request: object): Promise<Outcome> {
    const stream = this.#client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
    stream.write(request);
    stream.once("data", () => stream.end());
    return collected(stream);
  }
}

function deadline(): { readonly deadline: number } {
  return { deadline: Date.now() + DEADLINE_MS };
}

function collected(stream: ClientReadableStream<object> | ClientDuplexStream<object, object>): Promise<Outcome> {
  const answers: object[] = [];
  return new Promise((resolve) => {
    stream.on("data", (answer: object) => answers.push(answer));
    stream.once("end", () => resolve({ ok: true, answers }));
    stream.once("error", (error: ServiceError) => resolve(refusal(error, answers)));
  });
}

function refusal({ code, details }: ServiceError, answers: readonly object[]): Outcome {
  return { ok: false, code, details, answers };
}
