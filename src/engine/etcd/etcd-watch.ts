/** A watch over an etcd: it outlasts its connections, and goes on at the place to which it had been told. */
import { setTimeout as sleep } from "node:timers/promises";
import { MusterError } from "../../base/errors.ts";
import { STORE_RETRY_MS, STORE_WATCH_RETRY_MS } from "../../base/store-limits.ts";
import type { WatchResponse } from "../../proto/etcdserverpb.ts";
import type { Event as WireEvent } from "../../proto/mvccpb.ts";
import type { Watch } from "../engine.ts";
import type { Revision, WatchMessage, WatchRequest } from "../model.ts";
import type { EtcdChannel } from "./etcd-channel.ts";
import type { EtcdCompaction } from "./etcd-compaction.ts";
import { failureOf, failureOfText, NotSent } from "./etcd-errors.ts";
import type { EtcdPulse, PulseStream } from "./etcd-pulse.ts";
import { eventOf } from "./etcd-results.ts";
import { compactedError, type EtcdSpace } from "./etcd-space.ts";
import type { EtcdVersions } from "./etcd-versions.ts";
import { EtcdWatchCursor, revisionOf } from "./etcd-watch-cursor.ts";
import { type AskForProgress, EtcdWatchProgress } from "./etcd-watch-progress.ts";
import { EtcdWatchQueue } from "./etcd-watch-queue.ts";
import { createRequest, EtcdWatchStream } from "./etcd-watch-stream.ts";

/** etcd's ID of an answer that is to no watch in particular. */
const NO_WATCH = -1n;
/** How often a watch may be denied, each time with a new token, until that is the answer. */
const DENIALS = 2;

/** What all watches of an engine share. */
export interface WatchParts {
  readonly channel: EtcdChannel;
  readonly space: EtcdSpace;
  readonly pulse: EtcdPulse;
  readonly versions: EtcdVersions;
  readonly compaction: EtcdCompaction;
  /** The store's newest revision, in etcd's count. */
  newest(): Promise<Revision>;
  onClose(watch: EtcdWatch): void;
}

/**
 * A watch that outlives its connections: it goes on after what it has told, at whichever endpoint serves. It has a
 * stream of its own, so that one whose reader is slow (which then sends nothing more) holds up no other.
 */
export class EtcdWatch implements Watch {
  readonly createdRevision: Promise<Revision>;
  /** Resolves when etcd has it, or it has ended: a change that is made from then on is told. */
  readonly standing: Promise<void>;
  readonly #request: WatchRequest;
  readonly #parts: WatchParts;
  readonly #queue = new EtcdWatchQueue();
  readonly #cursor: EtcdWatchCursor;
  readonly #progress = new EtcdWatchProgress({
    newest: () => this.#parts.newest(),
    onProgress: (revision, { isWanted }) => this.#told(revision, isWanted),
  });
  readonly #ended = new AbortController();
  #stream: EtcdWatchStream | undefined;
  #denials = 0;
  #created: (revision: Revision) => void = () => {};
  #notCreated: (error: MusterError) => void = () => {};

  constructor(request: WatchRequest, parts: WatchParts) {
    this.#request = { ...request, key: Uint8Array.from(request.key) };
    this.#parts = parts;
    // The number of a revision before an import names another one in etcd, or none.
    const isGone = startOf(request) > 0 && startOf(request) < parts.space.floor;
    const isFromNow = isGone || startOf(request) === 0;
    this.#cursor = new EtcdWatchCursor(isFromNow ? undefined : parts.space.pastToWire(startOf(request)));
    this.createdRevision = new Promise((resolve, reject) => {
      this.#created = resolve;
      this.#notCreated = reject;
    });
    this.standing = this.createdRevision.then(
      () => undefined,
      () => undefined,
    );
    if (isGone) {
      void this.#refuse(compactedError(parts.space.floor));
    } else {
      void this.#run();
    }
  }

  get hasEnded(): boolean {
    return this.#queue.hasEnded;
  }

  requestProgress(): void {
    this.#progress.want();
  }

  ready(): WatchMessage | undefined {
    return this.#queue.takeEvents();
  }

  close(): void {
    this.#finish(undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchMessage> {
    try {
      for (let message = await this.#queue.next(); message !== undefined; message = await this.#queue.next()) {
        yield message;
      }
    } finally {
      this.close();
    }
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#queue.hasEnded; ) {
      const before = this.#cursor.next;
      const error = await this.#serve().catch((thrown: unknown) => thrown);
      if (this.#queue.hasEnded) {
        return;
      }
      const failure = failureOf(error);
      if (failure.kind === "answer") {
        this.#finish(failure.error);
        return;
      }
      failures = this.#cursor.next === before ? failures + 1 : 0;
      // At once at the next endpoint; only when all of them failed it waits.
      if (failures >= this.#parts.channel.size) {
        const ms = Math.min(STORE_RETRY_MS * 2 ** (failures - this.#parts.channel.size), STORE_WATCH_RETRY_MS);
        await sleep(ms, undefined, { signal: this.#ended.signal }).catch(() => undefined);
      }
    }
  }

  /** As etcd does: the watch is made, and then told that it begins too early. */
  async #refuse(error: MusterError): Promise<void> {
    try {
      this.#created(this.#parts.space.fromWire(await this.#parts.newest()));
      this.#finish(error);
    } catch (failed) {
      const failure = failureOf(failed);
      this.#finish(failure.error);
    }
  }

  /** Tells what one stream brings until that ends. Rejects with why it ended. */
  async #serve(): Promise<void> {
    const { channel, pulse, versions } = this.#parts;
    // A member that is behind would begin in the past: from now on means after everything that was acknowledged by now.
    const newest = this.#cursor.next === undefined ? this.#parts.newest() : undefined;
    // It is awaited further down, and must not count as forgotten until then.
    newest?.catch(() => undefined);
    const { endpoint, token } = await channel.forStream();
    if (this.#queue.hasEnded) {
      return;
    }
    // It never rejects, and an endpoint that says nothing is not waited for twice.
    const isOrdered = versions.answersProgressInOrder(endpoint);
    const { space } = this.#parts;
    const stream = new EtcdWatchStream(endpoint, token, createRequest(space, this.#request, this.#cursor.start));
    const beat = this.#beatOf(stream);
    this.#stream = stream;
    this.#cursor.reconnected();
    try {
      for await (const response of stream) {
        beat.hear();
        if (stream.tookAside(response, space)) {
          continue;
        }
        if (response.created && !response.canceled) {
          await this.#begin(response, newest);
          pulse.add(beat);
          this.#progress.connected(this.#askerOf(stream), { isOrdered: await isOrdered });
        } else {
          this.#take(response, token);
        }
        await this.#queue.room();
      }
      throw new NotSent(`${endpoint.name} ended a watch`);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "token") {
        channel.renewToken(token);
      } else if (failure.kind !== "answer" && !this.#queue.hasEnded) {
        channel.failed(endpoint, failure.error);
      }
      throw error;
    } finally {
      pulse.remove(beat);
      this.#progress.disconnected();
      stream.cancel();
      this.#stream = undefined;
    }
  }

  async #begin({ header }: WatchResponse, newest: Promise<Revision> | undefined): Promise<void> {
    const here = header?.revision ?? 0;
    const revision = newest === undefined ? here : Math.max(here, await newest.catch(tryAgain));
    if (newest !== undefined) {
      this.#cursor.advance(revision + 1);
    }
    this.#cursor.begun();
    this.#denials = 0;
    this.#created(this.#parts.space.fromWire(revision));
  }

  #take(response: WatchResponse, token: string | undefined): void {
    if (response.canceled) {
      throw this.#canceled(response, token);
    }
    if (response.events.length > 0) {
      this.#tell(response);
    } else if (response.watchId === NO_WATCH) {
      this.#progress.answered(response.header?.revision ?? 0);
    } else {
      // A notice that etcd gave of its own accord; those have their place among the events.
      this.#told(response.header?.revision ?? 0, false);
    }
  }

  #tell(response: WatchResponse): void {
    const first = response.events[0];
    if (first !== undefined) {
      this.#progress.eventsFrom(revisionOf(first));
    }
    const events = this.#cursor.take(response);
    for (let begin = 0, end = 1; begin < events.length; end++) {
      // etcd tells many revisions at once where it catches up; readers like each by itself.
      if (revisionAt(events, end) !== revisionAt(events, begin)) {
        const revision = this.#parts.space.fromWire(revisionAt(events, begin));
        const whole = events.slice(begin, end).map((event) => eventOf(this.#parts.space, event));
        this.#queue.push({ kind: "events", revision, events: whole });
        begin = end;
      }
    }
  }

  #told(revision: Revision, isWanted: boolean): void {
    if (this.#cursor.next !== undefined) {
      this.#cursor.advance(revision + 1);
    }
    if (isWanted) {
      // A member that is behind answers with less than what another one told before.
      const reached = Math.max(revision, this.#cursor.reached);
      this.#queue.push({ kind: "progress", revision: this.#parts.space.fromWire(reached) });
    }
  }

  /** What to throw: a MusterError where it makes no sense to try again. */
  #canceled({ compactRevision, cancelReason }: WatchResponse, token: string | undefined): Error {
    if (compactRevision > 0) {
      const told = this.#parts.space.fromWire(compactRevision);
      this.#parts.compaction.learnt(told);
      return compactedError(Math.max(told, this.#parts.space.floor));
    }
    const failure = failureOfText(cancelReason);
    if (failure.kind === "answer" && token !== undefined && ++this.#denials < DENIALS) {
      // etcd before 3.5 calls a stale token a lack of permission.
      this.#parts.channel.renewToken(token);
      return new NotSent(cancelReason);
    }
    if (failure.kind === "token") {
      this.#parts.channel.renewToken(token);
    }
    return failure.kind === "answer" ? failure.error : new NotSent(cancelReason);
  }

  #finish(error: MusterError | undefined): void {
    if (this.#queue.hasEnded) {
      return;
    }
    this.#queue.end(error);
    this.#notCreated(error ?? new MusterError("closed", "Watch again: this watch was closed"));
    this.#ended.abort();
    this.#progress.disconnected();
    this.#stream?.cancel();
    this.#parts.onClose(this);
  }

  #askerOf(stream: EtcdWatchStream): AskForProgress {
    const { space, compaction } = this.#parts;
    return ({ isFenced }) => {
      // An import's floor says nothing of what etcd has compacted.
      if (isFenced) stream.askBehindPass(space, { isCompacted: compaction.revision > space.floor });
      else stream.askForProgress();
    };
  }

  #beatOf(stream: EtcdWatchStream): PulseStream & { hear(): void } {
    let isHeard = true;
    return {
      endpoint: stream.endpoint,
      hear: () => {
        isHeard = true;
      },
      tookPulse: () => {
        const was = isHeard;
        isHeard = false;
        return was;
      },
      look: () => {
        if (!this.#queue.isFull) this.#progress.look();
      },
      leave: () => stream.cancel(),
    };
  }
}

/** 0: from now on. */
export function startOf(request: WatchRequest): Revision {
  return request.startRevision ?? 0;
}

function tryAgain(error: unknown): never {
  throw new NotSent(failureOf(error).error.message, { cause: error });
}

/** 0 beyond the last. */
function revisionAt(events: readonly WireEvent[], place: number): Revision {
  const event = events[place];
  return event === undefined ? 0 : revisionOf(event);
}
