/** A stream of watches: any number of them, made, canceled and told on it. */
import { NO_BYTES } from "../../base/bytes.ts";
import { isMusterError } from "../../base/errors.ts";
import { WATCH_PROGRESS_INTERVAL_MS, WATCH_RESPONSE_FRAGMENT_BYTES } from "../../base/limits.ts";
import type { Keyspace } from "../../domain/keyspace/keyspace.ts";
import type { Watch } from "../../engine/engine.ts";
import type { Revision } from "../../engine/model.ts";
import type { EncodedMessage } from "../../grpc/call.ts";
import type { WatchCreateRequest, WatchRequest, WatchResponse } from "../../proto/etcdserverpb.ts";
import type { Headers } from "./header.ts";
import { type DeliveryStream, WatchDelivery } from "./watch-delivery.ts";
import { encodedPart } from "./watch-encoding.ts";
import { WatchProgress } from "./watch-progress.ts";
import { REFUSALS, readWatch } from "./watch-request.ts";
import { NO_RESPONSE, NO_WATCH_ID } from "./watch-responses.ts";
import { WatchTurns } from "./watch-turns.ts";

/** A create request with this ID leaves the choice to the server. */
const ANY_ID = 0n;

export interface WatchSessionOptions {
  readonly keyspace: Pick<Keyspace, "watch" | "status">;
  readonly headers: Headers;
  /** Sends a response; resolves when there is room for the next one. */
  readonly send: (response: WatchResponse | EncodedMessage) => Promise<void>;
  /** How long a watch that asked for progress notices is idle until it gets one, in ms. Default: WATCH_PROGRESS_INTERVAL_MS. */
  readonly progressIntervalMs?: number;
  /** The largest response of a watch that asked for fragments, in bytes. Default: WATCH_RESPONSE_FRAGMENT_BYTES. */
  readonly maxFragmentBytes?: number;
}

export class WatchSession implements DeliveryStream {
  /** Rejects when the stream cannot go on: the store failed or was closed, or nothing can be sent. Never resolves. */
  readonly failed: Promise<never>;
  readonly maxFragmentBytes: number;
  readonly #options: WatchSessionOptions;
  readonly #deliveries = new Map<bigint, WatchDelivery>();
  /** Watches that the store has yet to make, which a store that is away may never do. */
  readonly #inMaking = new Set<Watch>();
  /** Of watches that ended by themselves: as with etcd, they are taken until the client cancels these watches, too. */
  readonly #endedIds = new Set<bigint>();
  readonly #turns = new WatchTurns();
  readonly #progress: WatchProgress;
  #fail: (error: unknown) => void = () => {};
  #nextId = 0n;
  /** The newest revision that was told on the stream; 0 before the first. */
  #newest: Revision = 0;
  /** The latest: all watches of a stream tell of the same revisions. */
  #encodedHeader: { readonly revision: Revision; readonly bytes: Uint8Array } = { revision: -1, bytes: NO_BYTES };
  #ticker: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WatchSessionOptions) {
    this.#options = options;
    this.maxFragmentBytes = options.maxFragmentBytes ?? WATCH_RESPONSE_FRAGMENT_BYTES;
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    // Whoever serves the stream looks at it; a failure when that is over concerns nobody.
    this.failed.catch(() => {});
    this.#progress = new WatchProgress((revision) =>
      this.tell(() => [{ ...NO_RESPONSE, watchId: NO_WATCH_ID, header: this.header(revision) }]),
    );
  }

  /**
   * Does what a client asks; the next request is taken when this resolves. What a client may not ask of a watch is told
   * as etcd does, in a response. Once the session is closed nothing is done. Errors: those of the keyspace, and of
   * sending.
   */
  async take({ requestUnion }: WatchRequest): Promise<void> {
    if (this.#closed) return;
    switch (requestUnion?.$case) {
      case "createRequest":
        return this.#create(requestUnion.value);
      case "cancelRequest":
        return this.#cancel(requestUnion.value.watchId);
      case "progressRequest":
        this.#progress.ask(this.#deliveries.values());
        return;
      case undefined:
        // As etcd, which would not end a stream for a request that it does not know.
        return;
    }
  }

  /** Ends all watches, also those that are not made yet: their create requests fail. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#ticker);
    for (const watch of this.#inMaking) watch.close();
    this.#inMaking.clear();
    for (const delivery of this.#deliveries.values()) delivery.close();
    this.#deliveries.clear();
  }

  header(revision: Revision): WatchResponse["header"] {
    this.#newest = Math.max(this.#newest, revision);
    return this.#options.headers.at(revision);
  }

  encodedHeader(revision: Revision): Uint8Array {
    if (this.#encodedHeader.revision !== revision) {
      this.#encodedHeader = { revision, bytes: encodedPart({ header: this.header(revision) }) };
    }
    return this.#encodedHeader.bytes;
  }

  tell(make: () => Iterable<WatchResponse | EncodedMessage>): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#closed) return;
      for (const response of make()) await this.#options.send(response);
    });
  }

  async progressed(delivery: WatchDelivery, revision: Revision): Promise<void> {
    if (await this.#progress.progressed(delivery, revision)) this.#progress.ask(this.#deliveries.values());
  }

  ended(delivery: WatchDelivery): void {
    this.#deliveries.delete(delivery.id);
    this.#endedIds.add(delivery.id);
    void this.#gone(delivery).catch(this.#fail);
  }

  async #create(request: WatchCreateRequest): Promise<void> {
    const asked = readWatch(request);
    if ("refusal" in asked) return this.#refuse(asked.refusal);
    if (request.watchId !== ANY_ID && this.#isTaken(request.watchId)) return this.#refuse(REFUSALS.duplicateId);
    const watch = this.#options.keyspace.watch(asked);
    this.#inMaking.add(watch);
    const id = request.watchId === ANY_ID ? this.#freeId() : request.watchId;
    try {
      const createdRevision = await watch.createdRevision;
      const delivery = new WatchDelivery({ id, request, watch, createdRevision, stream: this });
      if (this.#closed) return delivery.close();
      this.#deliveries.set(id, delivery);
      if (request.progressNotify) this.#startTicking();
      await this.tell(() => [{ ...NO_RESPONSE, watchId: id, header: this.header(createdRevision), created: true }]);
      void delivery.run().catch(this.#fail);
    } catch (error) {
      watch.close();
      throw error;
    } finally {
      this.#inMaking.delete(watch);
    }
  }

  async #refuse(cancelReason: string): Promise<void> {
    const header = this.header(await this.#revisionNow());
    const refusal = { ...NO_RESPONSE, watchId: NO_WATCH_ID, header, created: true, canceled: true, cancelReason };
    await this.tell(() => [refusal]);
  }

  /** A watch that is not there is canceled without a word, as etcd has it. */
  async #cancel(id: bigint): Promise<void> {
    if (!this.#isTaken(id)) return;
    const delivery = this.#deliveries.get(id);
    delivery?.close();
    this.#deliveries.delete(id);
    this.#endedIds.delete(id);
    const revision = await this.#revisionNow();
    await this.tell(() => [{ ...NO_RESPONSE, watchId: id, header: this.header(revision), canceled: true }]);
    if (delivery !== undefined) await this.#gone(delivery);
  }

  /**
   * The store's revision, or the newest one that was told where the store is away: as with etcd, whose member needs no
   * other one for this, the stream's other watches go on.
   */
  async #revisionNow(): Promise<Revision> {
    try {
      return (await this.#options.keyspace.status()).revision;
    } catch (error) {
      if (this.#newest === 0 || !isMusterError(error, "storeUnavailable")) throw error;
      return this.#newest;
    }
  }

  async #gone(delivery: WatchDelivery): Promise<void> {
    if (await this.#progress.gone(delivery)) this.#progress.ask(this.#deliveries.values());
  }

  #isTaken(id: bigint): boolean {
    return this.#deliveries.has(id) || this.#endedIds.has(id);
  }

  #freeId(): bigint {
    while (this.#isTaken(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  /** With up to a tenth of the time more, as etcd: watches that were made together are not to be told together. */
  #startTicking(): void {
    if (this.#ticker !== undefined) return;
    const interval = this.#options.progressIntervalMs ?? WATCH_PROGRESS_INTERVAL_MS;
    this.#ticker = setInterval(
      () => {
        for (const delivery of this.#deliveries.values()) delivery.noticeDue();
      },
      interval * (1 + Math.random() / 10),
    );
    this.#ticker.unref();
  }
}
