import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import type { Codec } from "../../src/grpc/service.ts";
import {
  KVDefinition,
  MaintenanceDefinition,
  type RangeRequest,
  type RangeResponse,
  type StatusRequest,
  StatusResponse,
  WatchDefinition,
  type WatchRequest,
  WatchResponse,
} from "../../src/proto/etcdserverpb.ts";

type Stream = ServerDuplexStream<WatchRequest, WatchResponse>;

/** The ID that etcd gives to the first watch of a stream. */
const FIRST_WATCH = 0n;
const NO_WATCH = -1n;
const COMPACTED = { code: status.OUT_OF_RANGE, details: "etcdserver: mvcc: required revision has been compacted" };

/** As much of an etcd without keys as watches need. It does the requests of a stream one after the other, as etcd does. */
export class PlayedWatches implements AsyncDisposable {
  /** What it says that the store's newest revision is. */
  revision = 1;
  /** What those say that come by watches: less than the store's where the member is behind. */
  memberRevision = 1;
  /** 0: it is not compacted. */
  compactRevision = 0;
  /** It looks up what watches missed until this resolves: none is made meanwhile, nor ended for being compacted. */
  pass: Promise<void> = Promise.resolve();
  /** What it does so after it was asked for progress. */
  nextPass: Promise<void> = this.pass;
  /** What was asked on streams after their first watch was made. */
  readonly asked: string[] = [];
  readonly #server = new Server();
  readonly #version: string;
  #address = "";
  #stream: Stream | undefined;

  private constructor(version: string) {
    this.#version = version;
  }

  static async start(version: string): Promise<PlayedWatches> {
    const etcd = new PlayedWatches(version);
    etcd.#serve();
    const port = await new Promise<number>((resolve, reject) => {
      etcd.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    etcd.#address = `127.0.0.1:${port}`;
    return etcd;
  }

  get address(): string {
    return this.#address;
  }

  /** Tells the newest stream's first watch that a key was put in these revisions. */
  tell(...revisions: readonly number[]): void {
    const events = revisions.map((modRevision) => ({
      type: 0 as const,
      kv: { key: Buffer.from("k"), createRevision: modRevision, modRevision, version: 1 },
    }));
    const header = { revision: this.memberRevision };
    this.#stream?.write(WatchResponse.fromPartial({ header, watchId: FIRST_WATCH, events }));
  }

  /** Ends the newest stream. */
  cut(): void {
    this.#stream?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #serve(): void {
    const range = ({ request }: ServerUnaryCall<RangeRequest, RangeResponse>, answer: sendUnaryData<RangeResponse>) => {
      const header = { clusterId: 1n, memberId: 1n, revision: this.revision, raftTerm: 1 };
      if (request.revision > 0 && request.revision < this.compactRevision) answer(COMPACTED);
      else answer(null, { header, kvs: [], more: false, count: 0 });
    };
    const answerStatus = (_: ServerUnaryCall<StatusRequest, StatusResponse>, answer: sendUnaryData<StatusResponse>) =>
      answer(null, StatusResponse.fromPartial({ version: this.#version }));
    this.#server.addService({ range: served(KVDefinition, KVDefinition.methods.range) }, { range });
    this.#server.addService(
      { status: served(MaintenanceDefinition, MaintenanceDefinition.methods.status) },
      { status: answerStatus },
    );
    this.#server.addService(
      { watch: served(WatchDefinition, WatchDefinition.methods.watch) },
      { watch: (stream: Stream) => this.#watch(stream) },
    );
  }

  #watch(stream: Stream): void {
    let done: Promise<void> = Promise.resolve();
    stream.on("data", (request: WatchRequest) => {
      done = done.then(() => this.#do(request, stream));
    });
    stream.on("end", () => stream.end());
    // A client that closes its watch cancels the stream.
    stream.on("error", () => undefined);
  }

  async #do({ requestUnion }: WatchRequest, stream: Stream): Promise<void> {
    const say = (response: Parameters<typeof WatchResponse.fromPartial>[0]) =>
      stream.write(WatchResponse.fromPartial({ header: { revision: this.memberRevision }, ...response }));
    if (requestUnion?.$case === "createRequest") {
      const { watchId, startRevision } = requestUnion.value;
      if (watchId === FIRST_WATCH && startRevision !== 1) this.#stream = stream;
      if (watchId !== FIRST_WATCH) {
        this.asked.push(`watch ${watchId} from ${startRevision}`);
        await this.pass;
      }
      say({ watchId, created: true });
      if (startRevision > 0 && startRevision < this.compactRevision) {
        const { compactRevision } = this;
        void this.pass.then(() => say({ watchId, canceled: true, compactRevision }));
      }
    } else if (requestUnion?.$case === "cancelRequest") {
      const { watchId } = requestUnion.value;
      this.asked.push(`cancel ${watchId}`);
      say({ watchId, canceled: true });
    } else {
      this.asked.push("progress");
      this.pass = this.nextPass;
      say({ watchId: NO_WATCH });
    }
  }
}

interface Generated<Request, Response, Streams extends boolean> {
  readonly name: string;
  readonly requestType: Codec<Request>;
  readonly responseType: Codec<Response>;
  readonly requestStream: Streams;
  readonly responseStream: Streams;
}

function served<Request, Response, Streams extends boolean>(
  { fullName }: { readonly fullName: string },
  { name, requestType, responseType, requestStream, responseStream }: Generated<Request, Response, Streams>,
) {
  return {
    path: `/${fullName}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: (request: Request) => Buffer.from(requestType.encode(request).finish()),
    requestDeserialize: (bytes: Buffer) => requestType.decode(bytes),
    responseSerialize: (response: Response) => Buffer.from(responseType.encode(response).finish()),
    responseDeserialize: (bytes: Buffer) => responseType.decode(bytes),
  };
}
