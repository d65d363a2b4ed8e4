import type { ClientDuplexStream } from "@grpc/grpc-js";
import { STORE_ATTEMPT_MS } from "../../base/store-limits.ts";
import {
  WatchCreateRequest_FilterType,
  type WatchResponse,
  type WatchRequest as WireWatchRequest,
} from "../../proto/etcdserverpb.ts";
import type { Revision, WatchRequest } from "../model.ts";
import { type EtcdEndpoint, ignoreAfterwards } from "./etcd-endpoint.ts";
import { WATCH } from "./etcd-methods.ts";
import type { EtcdSpace } from "./etcd-space.ts";

/** One watch on one stream to one endpoint. Iterate it once; `cancel` ends it. */
export class EtcdWatchStream implements AsyncIterable<WatchResponse> {
  readonly endpoint: EtcdEndpoint;
  readonly #stream: ClientDuplexStream<WireWatchRequest, WatchResponse>;

  constructor(endpoint: EtcdEndpoint, token: string | undefined, create: WireWatchRequest) {
    this.endpoint = endpoint;
    this.#stream = endpoint.stream(WATCH, token);
    this.#stream.write(create);
  }

  askForProgress(): void {
    if (this.#stream.writable) {
      this.#stream.write({ requestUnion: { $case: "progressRequest", value: {} } });
    }
  }

  /**
   * The iteration throws what the stream ended with, also where etcd does not make the watch within STORE_ATTEMPT_MS. While
   * its reader is busy, etcd is kept from sending more.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchResponse> {
    // Calls wait for a watch from now on, and a machine that was stopped keeps the connection and says nothing.
    const late = setTimeout(() => this.cancel(), STORE_ATTEMPT_MS);
    try {
      for await (const response of this.#stream) {
        clearTimeout(late);
        yield response;
      }
    } finally {
      clearTimeout(late);
      this.cancel();
    }
  }

  cancel(): void {
    this.#stream.on("error", ignoreAfterwards).cancel();
  }
}

/** The request that begins a watch; `start` in etcd's revisions, 0: from now on. */
export function createRequest(space: EtcdSpace, request: WatchRequest, start: Revision): WireWatchRequest {
  const { noPut, noDelete, prevKv } = request;
  const filters = [
    ...(noPut === true ? [WatchCreateRequest_FilterType.NOPUT] : []),
    ...(noDelete === true ? [WatchCreateRequest_FilterType.NODELETE] : []),
  ];
  const value = {
    ...space.range(request),
    startRevision: start,
    // Also where etcd answers no questions in order, it says in order how far it is, every ten minutes.
    progressNotify: true,
    filters,
    prevKv: prevKv ?? false,
    watchId: 0n,
    // A revision may be larger than what should be in memory at a time.
    fragment: true,
  };
  return { requestUnion: { $case: "createRequest", value } };
}
