/** Up to where a watch has been told everything, by etcd's answers to questions for progress; old etcds answer out of order. */
import { STORE_PROGRESS_DOUBT_MS } from "../../base/store-limits.ts";
import type { Revision } from "../model.ts";

/** How many answers without an event between them make an answer that may have overtaken events certain. */
const QUIET_ANSWERS = 2;
/** When an etcd that answers every question is asked once more. */
const UNANSWERED_MS = 4 * STORE_PROGRESS_DOUBT_MS;

/** What progress is asked of, and told to. */
export interface ProgressParts {
  /** The store's newest revision. */
  newest(): Promise<Revision>;
  /** Everything up to `revision` has been told; `isWanted`: somebody asked. */
  onProgress(revision: Revision, options: { readonly isWanted: boolean }): void;
}

/** Asks etcd; behind a fence: etcd is to answer only when it has looked up what the watch missed. */
export type AskForProgress = (options: { readonly isFenced: boolean }) => void;

/** The reader wants to know. */
interface Want {
  /** The store's newest revision when it asked: what is not as far is no answer. Undefined until that is known. */
  least: Revision | undefined;
  isLearning: boolean;
  /** It asked again meanwhile. */
  isRepeated: boolean;
}

/**
 * How far a watch is, as etcd says on request. Before 3.5.8 etcd may answer before events that it has yet to send
 * (it takes answers and events from two queues, in any order). There an answer counts only when an event of a later
 * revision came, or when, after a while in which nothing was asked and no event came, etcd has answered again, twice:
 * in between the queue of events was the only one that had anything to send. Until such an etcd has looked up what a watch
 * missed, that queue is empty, so it is asked behind a fence; a watch that was told nothing since it was certain missed
 * nothing.
 * etcd from 3.5 on drops a question while the watch is behind: it is asked again until there is an answer.
 */
export class EtcdWatchProgress {
  readonly #parts: ProgressParts;
  /** Asks etcd, while there is a connection. */
  #ask: AskForProgress | undefined;
  #isOrdered = false;
  #want: Want | undefined;
  /** Up to where everything has certainly been told. */
  #certain: Revision = 0;
  /** Whether on this connection there was a certain answer, and no event since. */
  #isInStep = false;
  /** The answer that is doubted, and how many followed it quietly. */
  #doubted: { readonly revision: Revision; quiet: number } | undefined;
  /** Nothing is asked, so that what has yet to be sent is sent. */
  #isResting = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ProgressParts) {
    this.#parts = parts;
  }

  /** There is a connection, to an etcd that answers in order or does not. */
  connected(ask: AskForProgress, options: { readonly isOrdered: boolean }): void {
    this.disconnected();
    this.#ask = ask;
    this.#isOrdered = options.isOrdered;
    this.#pursue();
  }

  disconnected(): void {
    this.#ask = undefined;
    this.#isInStep = false;
    this.#doubted = undefined;
    this.#isResting = false;
    clearTimeout(this.#timer);
  }

  /** The reader wants to know. */
  want(): void {
    if (this.#want !== undefined) {
      this.#want.isRepeated = true;
      return;
    }
    this.#want = { least: undefined, isLearning: false, isRepeated: false };
    this.#pursue();
  }

  /** It would be good to know. */
  look(): void {
    if (this.#want?.least === undefined) {
      this.#pursue();
    }
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
    if (this.#doubted !== undefined) {
      if (first > this.#doubted.revision) {
        this.#settle(this.#doubted.revision);
      } else {
        this.#doubted.quiet = 0;
      }
    }
    this.#isInStep = false;
  }

  /** Does the next that there is to do for a reader that wants to know. */
  #pursue(): void {
    const want = this.#want;
    if (want === undefined || this.#ask === undefined) {
      return;
    }
    if (want.least === undefined) {
      if (!want.isLearning) void this.#learn(want);
    } else if (want.least <= this.#certain) {
      this.#want = undefined;
      this.#parts.onProgress(this.#certain, { isWanted: true });
      if (want.isRepeated) this.want();
    } else if (this.#doubted === undefined || this.#doubted.revision < want.least) {
      // An answer to a question from before the reader's.
      this.#doubted = undefined;
      this.#question();
    }
  }

  async #learn(want: Want): Promise<void> {
    want.isLearning = true;
    try {
      want.least = await this.#parts.newest();
    } catch {
      // The store does not serve; at the next look or connection it is asked again.
    }
    want.isLearning = false;
    if (want.least !== undefined) this.#pursue();
  }

  #settle(revision: Revision): void {
    this.#doubted = undefined;
    this.#isResting = false;
    this.#isInStep = true;
    this.#certain = Math.max(this.#certain, revision);
    clearTimeout(this.#timer);
    this.#parts.onProgress(revision, { isWanted: false });
    const least = this.#want?.least;
    if (least !== undefined && least > this.#certain) {
      this.#askIn(STORE_PROGRESS_DOUBT_MS);
    } else {
      this.#pursue();
    }
  }

  #question(): void {
    this.#isResting = false;
    if (this.#ask !== undefined) {
      this.#ask({ isFenced: !this.#isOrdered && !this.#isInStep });
      this.#askIn(this.#isOrdered ? STORE_PROGRESS_DOUBT_MS : UNANSWERED_MS);
    }
  }

  #askIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#question(), ms);
  }
}
