/** Up to where a watch has been told everything, by etcd's answers to questions for progress; old etcds answer out of order. */
import { STORE_PROGRESS_DOUBT_MS } from "../../base/store-limits.ts";
import type { Revision } from "../model.ts";

/** How many answers without an event between them make an answer that may have overtaken events certain. */
const QUIET_ANSWERS = 2;
/** When an etcd that answers every question is asked once more. */
const UNANSWERED_MS = 4 * STORE_PROGRESS_DOUBT_MS;

/**
 * How far a watch is, as etcd says on request. Before 3.5.8 etcd may answer before events that it has yet to send
 * (it takes answers and events from two queues, in any order). There an answer counts only when an event of a later
 * revision came, or when, after a while in which nothing was asked and no event came, etcd has answered again, twice:
 * in between the queue of events was the only one that had anything to send.
 * etcd from 3.5 on drops a question while the watch is behind: it is asked again until there is an answer.
 */
export class EtcdWatchProgress {
  readonly #onProgress: (revision: Revision, isWanted: boolean) => void;
  /** Asks etcd, while there is a connection. */
  #ask: (() => void) | undefined;
  #isOrdered = false;
  #isWanted = false;
  /** The answer that is doubted, and how many followed it quietly. */
  #doubted: { readonly revision: Revision; quiet: number } | undefined;
  /** Nothing is asked, so that what has yet to be sent is sent. */
  #isResting = false;
  #timer: NodeJS.Timeout | undefined;

  /** `onProgress`: everything up to `revision` has been told; `isWanted`: somebody asked. */
  constructor(onProgress: (revision: Revision, isWanted: boolean) => void) {
    this.#onProgress = onProgress;
  }

  /** There is a connection, to an etcd that answers in order or does not. */
  connected(ask: () => void, options: { readonly isOrdered: boolean }): void {
    this.disconnected();
    this.#ask = ask;
    this.#isOrdered = options.isOrdered;
    if (this.#isWanted) {
      this.#question();
    }
  }

  disconnected(): void {
    this.#ask = undefined;
    this.#doubted = undefined;
    this.#isResting = false;
    clearTimeout(this.#timer);
  }

  /** The reader wants to know. */
  want(): void {
    if (!this.#isWanted) {
      this.#isWanted = true;
      this.look();
    }
  }

  /** It would be good to know. */
  look(): void {
    if (this.#doubted === undefined) {
      this.#question();
    }
  }

  /** etcd answered. */
  answered(revision: Revision): void {
    if (this.#isOrdered) {
      this.#settle(revision);
      return;
    }
    if (this.#isResting) {
      // To a question that was asked twice.
      return;
    }
    this.#doubted ??= { revision, quiet: -1 };
    this.#doubted.quiet++;
    if (this.#doubted.quiet >= QUIET_ANSWERS) {
      this.#settle(this.#doubted.revision);
    } else {
      this.#isResting = true;
      this.#askIn(STORE_PROGRESS_DOUBT_MS);
    }
  }

  /** To be called before events are told, of which the first has this revision. */
  eventsFrom(first: Revision): void {
    if (this.#doubted === undefined) {
      return;
    }
    if (first > this.#doubted.revision) {
      this.#settle(this.#doubted.revision);
    } else {
      this.#doubted.quiet = 0;
    }
  }

  #settle(revision: Revision): void {
    const isWanted = this.#isWanted;
    this.#isWanted = false;
    this.#doubted = undefined;
    this.#isResting = false;
    clearTimeout(this.#timer);
    this.#onProgress(revision, isWanted);
  }

  #question(): void {
    this.#isResting = false;
    if (this.#ask !== undefined) {
      this.#ask();
      this.#askIn(this.#isOrdered ? STORE_PROGRESS_DOUBT_MS : UNANSWERED_MS);
    }
  }

  #askIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#question(), ms);
  }
}
