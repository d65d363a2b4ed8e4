import { EventEmitter, once } from "node:events";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { KVDefinition, type RangeRequest, type RangeResponse } from "../../src/proto/etcdserverpb.ts";

const PATIENCE_MS = 20_000;

/** A range that waits for its answer. */
export interface AskedRange {
  readonly request: RangeRequest;
  /** Answers that the range has so many keys, without telling one. */
  answer(keys: number): void;
}

/** As much of an etcd as reads need: single keys are not there, and ranges are answered when the test says so. */
export class PlayedEtcd implements AsyncDisposable {
  readonly address: string;
  /** Ranges over many keys that were not answered yet, the first one first. */
  readonly asked: AskedRange[] = [];
  /** How many ranges over many keys were asked in all. */
  count = 0;
  /** What calls of single keys are refused with, where they are; "silent": they are not answered. */
  complaint: string | undefined;
  readonly #server: Server;
  readonly #news = new EventEmitter();

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  static async start(): Promise<PlayedEtcd> {
    const server = new Server();
    const { fullName, methods } = KVDefinition;
    const { requestType, responseType } = methods.range;
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const etcd = new PlayedEtcd(server, `127.0.0.1:${port}`);
    server.addService(
      {
        range: {
          path: `/${fullName}/${methods.range.name}`,
          requestStream: false,
          responseStream: false,
          requestSerialize: (request: RangeRequest) => Buffer.from(requestType.encode(request).finish()),
          requestDeserialize: (bytes: Buffer) => requestType.decode(bytes),
          responseSerialize: (response: RangeResponse) => Buffer.from(responseType.encode(response).finish()),
          responseDeserialize: (bytes: Buffer) => responseType.decode(bytes),
        },
      },
      {
        range: (call: ServerUnaryCall<RangeRequest, RangeResponse>, answer: sendUnaryData<RangeResponse>) =>
          etcd.#range(call.request, answer),
      },
    );
    return etcd;
  }

  /** Resolves when so many ranges wait for their answers. */
  async whenAsked(count: number): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    while (this.asked.length < count) await once(this.#news, "asked", { signal });
  }

  /** Takes the range that was asked first of those that wait. */
  async next(): Promise<AskedRange> {
    await this.whenAsked(1);
    const [first] = this.asked.splice(0, 1);
    if (first === undefined) throw new Error("somebody else took the range");
    return first;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #range(request: RangeRequest, answer: sendUnaryData<RangeResponse>): void {
    const header = { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1 };
    if (request.rangeEnd.length > 0) {
      this.count++;
      this.asked.push({ request, answer: (count) => answer(null, { header, kvs: [], more: false, count }) });
      this.#news.emit("asked");
    } else if (this.complaint === undefined) {
      answer(null, { header, kvs: [], more: false, count: 0 });
    } else if (this.complaint !== "silent") {
      answer({ code: status.UNKNOWN, details: this.complaint });
    }
  }
}
