/** One watch on one stream to an etcd, and how that is asked how far the watch is. */
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { STORE_ATTEMPT_MS } from "../../base/store-limits.ts";
import {
  type WatchCreateRequest,
  WatchCreateRequest_FilterType,
  type WatchResponse,
  type WatchRequest as WireWatchRequest,
} from "../../proto/etcdserverpb.ts";
import type { Revision, WatchRequest } from "../model.ts";
import { type EtcdEndpoint, ignoreAfterwards } from "./etcd-endpoint.ts";
import { WATCH } from "./etcd-methods.ts";
import { type EtcdSpace, OFFSET_KEY } from "./etcd-space.ts";

/** The IDs of watches that are only made to be waited for; the stream's own one, being its first, is 0. */
const FENCE_ID = 1n;
const PROBE_ID = 2n;
/** etcd's revision of an empty store: it is compacted where anything is. */
const FIRST_REVISION = 1;

/** One watch on one stream to one endpoint. Iterate it once; `cancel` ends it. */
export class EtcdWatchStream implements AsyncIterable<WatchResponse> {
  readonly endpoint: EtcdEndpoint;
  readonly #stream: ClientDuplexStream<WireWatchRequest, WatchResponse>;
  #isProbing = false;

  constructor(endpoint: EtcdEndpoint, token: string | undefined, create: WireWatchRequest) {
    this.endpoint = endpoint;
    this.#stream = endpoint.stream(WATCH, token);
    this.#stream.write(create);
  }

  askForProgress(): void {
    this.#write({ $case: "progressRequest", value: {} });
  }

  /**
   * Asks for progress as an etcd has to be asked that answers at once, also before it has looked up what the watch missed.
   * It looks that up for all watches together, in passes. Where the store is compacted, another watch, which begins
   * before that, is ended by the first pass that comes to this one, too. And a watch is made and canceled before the
   * question, as that waits for the end of a pass, and the requests of a stream are taken one after the other.
   */
  askBehindPass(space: EtcdSpace, options: { readonly isCompacted: boolean }): void {
    if (this.#isProbing) {
      return;
    }
    if (options.isCompacted) {
      this.#isProbing = true;
      this.#write({
        $case: "createRequest",
        value: aside(space, { watchId: PROBE_ID, startRevision: FIRST_REVISION }),
      });
    } else {
      this.#askFenced(space);
    }
  }

  /** Takes an answer that is about another watch than the stream's own; a refusal is left to who reads the stream. */
  tookAside({ watchId, created, canceled, compactRevision }: WatchResponse, space: EtcdSpace): boolean {
    if ((created && canceled) || (watchId !== FENCE_ID && watchId !== PROBE_ID)) {
      return false;
    }
    if (this.#isProbing && watchId === PROBE_ID && compactRevision > 0) {
      this.#isProbing = false;
      this.#write({ $case: "cancelRequest", value: { watchId: PROBE_ID } });
      this.#askFenced(space);
    }
    return true;
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

  #askFenced(space: EtcdSpace): void {
    this.#write({ $case: "createRequest", value: aside(space, { watchId: FENCE_ID, startRevision: 0 }) });
    this.#write({ $case: "cancelRequest", value: { watchId: FENCE_ID } });
    this.askForProgress();
  }

  #write(requestUnion: WireWatchRequest["requestUnion"]): void {
    if (this.#stream.writable) {
      this.#stream.write({ requestUnion });
    }
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

/** A watch of a key that every user of the store may read, and that is written once at most. */
function aside(space: EtcdSpace, own: Pick<WatchCreateRequest, "watchId" | "startRevision">): WatchCreateRequest {
  return {
    ...space.range({ key: OFFSET_KEY }),
    progressNotify: false,
    filters: [],
    prevKv: false,
    fragment: false,
    ...own,
  };
}
