/** Answers to clients that ask how far all watches of their stream are. */
import type { Revision } from "../../engine/model.ts";
import type { WatchDelivery } from "./watch-delivery.ts";

/**
 * Gathers how far each watch of a stream is. etcd drops such a request, unanswered, while a watch is behind; here it is
 * answered when the last one has caught up, and requests that come meanwhile get one answer together, after it.
 */
export class WatchProgress {
  readonly #answer: (revision: Revision) => Promise<void>;
  /** Those that have not said yet how far they are; undefined while nobody has asked. */
  #waiting: Set<WatchDelivery> | undefined;
  /** How far the one is that is furthest behind. */
  #revision: Revision = Number.POSITIVE_INFINITY;
  /** Whether a watch has not even begun: then, as with etcd, there is no answer. */
  #isVoid = false;
  #askedAgain = false;

  constructor(answer: (revision: Revision) => Promise<void>) {
    this.#answer = answer;
  }

  /** Asks these watches, which are all that there are. Where there is none, nothing is answered, as with etcd. */
  ask(deliveries: Iterable<WatchDelivery>): void {
    if (this.#waiting !== undefined) {
      this.#askedAgain = true;
      return;
    }
    const waiting = new Set(deliveries);
    if (waiting.size === 0) return;
    this.#waiting = waiting;
    this.#revision = Number.POSITIVE_INFINITY;
    this.#isVoid = false;
    for (const delivery of waiting) delivery.requestProgress();
  }

  /** Takes how far a watch is. Answers whether the watches are to be asked once more. */
  async progressed(delivery: WatchDelivery, revision: Revision): Promise<boolean> {
    if (this.#waiting?.has(delivery) !== true) return false;
    this.#revision = Math.min(this.#revision, revision);
    this.#isVoid ||= !delivery.hasBegun(revision);
    return this.gone(delivery);
  }

  /** Waits no longer for a watch. Answers whether the watches are to be asked once more. */
  async gone(delivery: WatchDelivery): Promise<boolean> {
    if (this.#waiting?.delete(delivery) !== true || this.#waiting.size > 0) return false;
    this.#waiting = undefined;
    const again = this.#askedAgain;
    this.#askedAgain = false;
    if (!this.#isVoid && Number.isFinite(this.#revision)) await this.#answer(this.#revision);
    return again;
  }
}
