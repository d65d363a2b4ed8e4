/** One watch of a stream: tells what happens to its keys until it is canceled. */
import { isMusterError } from "../../base/errors.ts";
import { WATCH_RESPONSE_BYTES, WATCH_RESPONSE_REVISIONS } from "../../base/limits.ts";
import type { Watch } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import { EncodedMessage } from "../../grpc/call.ts";
import type { WatchCreateRequest, WatchResponse } from "../../proto/etcdserverpb.ts";
import { etcdError } from "./errors.ts";
import { type EventsMessage, encodedEvents, encodedPart } from "./watch-encoding.ts";
import { fragmentsOf, NO_RESPONSE, RESPONSE_OVERHEAD_BYTES } from "./watch-responses.ts";

/** What is told together. */
interface Batch {
  readonly messages: readonly EventsMessage[];
  /** Their events on the wire, one piece each. */
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** The newest of them. */
  readonly revision: Revision;
}

/** What a watch needs of the stream that it is on. */
export interface DeliveryStream {
  /** Sends what `make` gives when it is this one's turn on the stream; resolves when there is room for more. */
  tell(make: () => Iterable<WatchResponse | EncodedMessage>): Promise<void>;
  header(revision: Revision): WatchResponse["header"];
  /** The same as part of a response. */
  encodedHeader(revision: Revision): Uint8Array;
  /** Everything up to this revision has been told. */
  progressed(delivery: WatchDelivery, revision: Revision): Promise<void>;
  /** The watch has ended by itself. */
  ended(delivery: WatchDelivery): void;
  readonly maxFragmentBytes: number;
}

export interface DeliveryOptions {
  readonly id: bigint;
  readonly request: WatchCreateRequest;
  readonly watch: Watch;
  readonly createdRevision: Revision;
  readonly stream: DeliveryStream;
}

export class WatchDelivery {
  readonly id: bigint;
  readonly #options: DeliveryOptions;
  readonly #watch: Watch;
  readonly #encodedId: Uint8Array;
  /** Whether nothing has been told since the last time that progress was due. */
  #isIdle = false;
  #owesNotice = false;
  #closed = false;

  constructor(options: DeliveryOptions) {
    this.id = options.id;
    this.#options = options;
    this.#watch = options.watch;
    this.#encodedId = encodedPart({ watchId: options.id });
  }

  /** Whether everything before the watch's start has happened: until then it makes no progress. */
  hasBegun(revision: Revision): boolean {
    return revision >= this.#options.request.startRevision;
  }

  /**
   * Tells until the watch is closed, or its history is compacted, which the client is told.
   * Errors: what the store or the stream fails with; `etcdserver: server stopped` when the store is closed.
   */
  async run(): Promise<void> {
    try {
      for await (const message of this.#watch) {
        if (message.kind === "events") await this.#tell(message);
        else await this.#progress(message.revision);
      }
    } catch (error) {
      if (this.#closed) return;
      if (!isMusterError(error, "compacted")) throw error;
      await this.#cancel(Number(error.details.compactRevision));
      return;
    }
    if (!this.#closed) throw etcdError("stopped");
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
  }

  requestProgress(): void {
    this.#watch.requestProgress();
  }

  /** Called at each interval of progress notices: one is due where nothing was told since the last one. */
  noticeDue(): void {
    if (!this.#options.request.progressNotify) return;
    if (this.#isIdle) {
      this.#owesNotice = true;
      this.#watch.requestProgress();
    }
    this.#isIdle = true;
  }

  #tell(first: EventsMessage): Promise<void> {
    this.#isIdle = false;
    return this.#options.stream.tell(() => (this.#closed ? [] : this.#responses(first)));
  }

  #responses(first: EventsMessage): Iterable<WatchResponse | EncodedMessage> {
    const { request, stream, id } = this.#options;
    const { messages, pieces, bytes, revision } = this.#gather(first);
    const shown = this.#headerRevision(revision, first);
    if (request.fragment && bytes + RESPONSE_OVERHEAD_BYTES > stream.maxFragmentBytes) {
      const told = { ...NO_RESPONSE, watchId: id, header: stream.header(shown) };
      const events = messages.flatMap((message) => message.events);
      return fragmentsOf(told, events, stream.maxFragmentBytes);
    }
    return [new EncodedMessage([stream.encodedHeader(shown), this.#encodedId, ...pieces])];
  }

  /** What is at hand behind `first`, as far as it may go into one response: whole revisions. */
  #gather(first: EventsMessage): Batch {
    const messages = [first];
    const pieces = [encodedEvents(first)];
    let { revision } = first;
    let bytes = pieces[0]?.length ?? 0;
    while (messages.length < WATCH_RESPONSE_REVISIONS && bytes < WATCH_RESPONSE_BYTES) {
      const next = this.#watch.ready?.();
      if (next === undefined || next.kind !== "events") break;
      const piece = encodedEvents(next);
      messages.push(next);
      pieces.push(piece);
      bytes += piece.length;
      revision = next.revision;
    }
    return { messages, pieces, bytes, revision };
  }

  /** As etcd's: the store's where the watch catches up, else that of the events. */
  #headerRevision(newest: Revision, first: EventsMessage): Revision {
    const { createdRevision } = this.#options;
    return first.revision <= createdRevision ? Math.max(createdRevision, newest) : newest;
  }

  async #progress(revision: Revision): Promise<void> {
    const { stream, id } = this.#options;
    if (this.#owesNotice) {
      this.#owesNotice = false;
      const notice = { ...NO_RESPONSE, watchId: id, header: stream.header(revision) };
      await stream.tell(() => (this.#closed || !this.hasBegun(revision) ? [] : [notice]));
    }
    await stream.progressed(this, revision);
  }

  /** etcd gives such a response no revision, and no reason. */
  async #cancel(compactRevision: Revision): Promise<void> {
    const { stream, id } = this.#options;
    await stream.tell(() => {
      if (this.#closed) return [];
      this.close();
      stream.ended(this);
      return [{ ...NO_RESPONSE, watchId: id, header: stream.header(0), canceled: true, compactRevision }];
    });
  }
}
