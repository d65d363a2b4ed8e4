import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { MusterError } from "../../src/base/errors.ts";
import type { Watch } from "../../src/engine/engine.ts";
import type { Revision, WatchMessage, WatchRequest } from "../../src/engine/model.ts";
import { type EtcdConvert, isEmptyRange, wireRange } from "./etcd-convert.ts";
import { fromWire, type WireWatchResponse, watchResponse } from "./etcd-wire.ts";

/** etcd 3.5 drops a progress request, unanswered, while a watcher of the stream is behind; it looks every 100 ms. */
const PROGRESS_RETRY_MS = 250;

/** One watch on a stream of its own. It queues without a bound: good enough for tests. */
export class EtcdWatch implements Watch {
  readonly createdRevision: Promise<Revision>;
  /** As createdRevision, but never rejects. */
  readonly standing: Promise<unknown>;
  readonly #stream: ClientDuplexStream<object, object>;
  readonly #convert: EtcdConvert;
  readonly #queue: WatchMessage[] = [];
  #end: { readonly error: MusterError | undefined } | undefined;
  #wake: () => void = () => {};
  #asking: NodeJS.Timeout | undefined;

  constructor(stream: ClientDuplexStream<object, object>, convert: EtcdConvert, request: WatchRequest) {
    this.#stream = stream;
    this.#convert = convert;
    this.createdRevision = new Promise((resolve, reject) => {
      stream.on("data", (data: unknown) => {
        const response = watchResponse.parse(data);
        if (response.created) {
          resolve(convert.fromWire(response.header?.revision ?? 0));
        }
        this.#take(response);
      });
      stream.on("error", (error: ServiceError) => {
        reject(fromWire(error));
        this.#finish(fromWire(error));
      });
      stream.on("end", () => this.#finish(undefined));
    });
    this.standing = this.createdRevision.catch(() => 0);
    stream.write({ create_request: createRequest(convert, request) });
  }

  requestProgress(): void {
    void this.standing.then(() => this.#askForProgress());
  }

  close(): void {
    this.#finish(undefined);
    this.#stream.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchMessage> {
    try {
      for (;;) {
        const message = this.#end?.error === undefined && this.#end !== undefined ? undefined : this.#queue.shift();
        if (message !== undefined) {
          yield message;
        } else if (this.#end !== undefined) {
          if (this.#end.error !== undefined) {
            throw this.#end.error;
          }
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  #askForProgress(): void {
    if (this.#end !== undefined) return;
    this.#stream.write({ progress_request: {} });
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.#askForProgress(), PROGRESS_RETRY_MS);
  }

  #take(response: WireWatchResponse): void {
    const events = this.#convert.events(response);
    const last = events.at(-1);
    if (last !== undefined) {
      this.#queue.push({ kind: "events", revision: last.kv.modRevision, events });
    } else if (!response.created && !response.canceled && response.events.length === 0) {
      clearTimeout(this.#asking);
      this.#queue.push({ kind: "progress", revision: this.#convert.fromWire(response.header?.revision ?? 0) });
    }
    if (response.canceled) {
      this.#finish(canceled(this.#convert, response));
    }
    this.#wake();
  }

  #finish(error: MusterError | undefined): void {
    this.#end ??= { error };
    clearTimeout(this.#asking);
    this.#wake();
  }
}

function createRequest(convert: EtcdConvert, request: WatchRequest): object {
  const filters = [...(request.noPut === true ? ["NOPUT"] : []), ...(request.noDelete === true ? ["NODELETE"] : [])];
  return {
    // etcd refuses to watch a range of nothing: a key that no test uses stands for it.
    ...(isEmptyRange(request) ? { key: Buffer.from([0xff, 0xff, 0xff, 0xff]) } : wireRange(request)),
    start_revision: convert.toWire(request.startRevision),
    filters,
    prev_kv: request.prevKv ?? false,
  };
}

function canceled(convert: EtcdConvert, response: WireWatchResponse): MusterError {
  if (response.compact_revision > 0) {
    const compactRevision = convert.fromWire(response.compact_revision);
    return new MusterError("compacted", "watch from a revision that is kept", { details: { compactRevision } });
  }
  return new MusterError("internal", `etcd cancelled a watch: ${response.cancel_reason}`);
}
