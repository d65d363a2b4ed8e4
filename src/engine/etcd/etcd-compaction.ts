/** To which revision somebody has compacted the etcd, which no call of etcd's tells: it is found out by a watch. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { isMusterError } from "../../base/errors.ts";
import { STORE_COMPACTION_AGE_MS, STORE_COMPACTION_LOOK_MS } from "../../base/store-limits.ts";
import type { Revision } from "../model.ts";
import type { EtcdChannel } from "./etcd-channel.ts";
import { RANGE } from "./etcd-methods.ts";
import { wireRange } from "./etcd-requests.ts";
import { type EtcdSpace, OFFSET_KEY } from "./etcd-space.ts";
import { createRequest, EtcdWatchStream } from "./etcd-watch-stream.ts";

/** etcd's revision of an empty store: whatever was ever compacted was compacted beyond it. */
const FIRST_REVISION = 1;

/**
 * What is known of the revision that the store is compacted to. etcd tells it to nobody who asks; but it ends a watch
 * that begins in compacted history with that number. So now and then, while somebody wants to know, one such watch is
 * begun. What is known may be STORE_COMPACTION_AGE_MS old; it is never too high, and reads and watches are refused by
 * what is so.
 */
export class EtcdCompaction {
  readonly #channel: EtcdChannel;
  readonly #space: EtcdSpace;
  readonly #clock: Clock;
  #known: Revision;
  #looksAgain = Number.NEGATIVE_INFINITY;

  constructor(channel: EtcdChannel, space: EtcdSpace, clock: Clock) {
    this.#channel = channel;
    this.#space = space;
    this.#clock = clock;
    this.#known = space.floor;
  }

  /** As it is told; 0: never, as far as is known. Looks again in the background where it was long ago. */
  get revision(): Revision {
    const now = this.#clock.monotonic();
    if (now >= this.#looksAgain) {
      this.#looksAgain = now + STORE_COMPACTION_AGE_MS;
      void this.look();
    }
    return this.#known;
  }

  /** Somebody was told this compacted revision, as it is told. */
  learnt(revision: Revision): void {
    this.#known = Math.max(this.#known, revision);
  }

  /** Asks etcd. It never rejects: where etcd cannot be asked, nothing new is known. */
  async look(): Promise<void> {
    const first = { ...wireRange(this.#space, { key: OFFSET_KEY, countOnly: true }), revision: FIRST_REVISION };
    const error = await this.#channel.read(RANGE, first).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (isMusterError(error, "compacted")) {
      await this.#lookHowFar();
    }
  }

  async #lookHowFar(): Promise<void> {
    const enough = new AbortController();
    try {
      const { endpoint, token } = await this.#channel.forStream();
      const stream = new EtcdWatchStream(
        endpoint,
        token,
        createRequest(this.#space, { key: OFFSET_KEY }, FIRST_REVISION),
      );
      // It answers within a tenth of a second, unless it is very busy: then the next look will tell.
      const time = sleep(STORE_COMPACTION_LOOK_MS, undefined, { signal: enough.signal });
      void time.then(
        () => stream.cancel(),
        () => undefined,
      );
      for await (const { compactRevision, canceled } of stream) {
        if (compactRevision > 0) {
          this.learnt(this.#space.fromWire(compactRevision));
        }
        if (canceled) break;
      }
    } catch {
      // The time is over; or there is no connection, which those find out who need it.
    } finally {
      enough.abort();
    }
  }
}
