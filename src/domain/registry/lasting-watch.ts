/**
 * A wait at a token that outlasts what interrupts it: changes that the tree missed, and a store that is away. A node dies
 * of the 401 that a wait gets elsewhere, and an etcd 2.0 whose wait breaks does not ask again.
 */
import { isMusterError, MusterError } from "../../base/errors.ts";
import { MEMBER_WATCH_RETRY_MS } from "../../base/limits.ts";
import { WAIT_OPENING_ATTEMPTS } from "../../base/store-limits.ts";
import type { Revision } from "../../engine/model.ts";
import { Pause } from "../pause.ts";
import type { TreeEvent, TreeWatch, TreeWatchRequest } from "../tree/model.ts";
import type { Tree } from "../tree/tree.ts";

/** A wait as it was begun, or begun again. */
export interface Opened {
  readonly live: TreeWatch;
}

/** What is waited for, and how much of it has been told. */
export interface Wait<T extends Opened> {
  /** Begins the wait again, behind what has been told. */
  open(): Promise<T>;
  /** Ends when the wait has to end; throws where it was interrupted. */
  tell(opened: T): AsyncGenerator<TreeEvent>;
}

export class LastingWatch<T extends Opened> implements TreeWatch {
  readonly index: Revision;
  readonly #wait: Wait<T>;
  readonly #pause = new Pause();
  #opened: T;
  /** Called when it is closed. */
  #onClose: () => void = () => undefined;
  #closed = false;

  /** `opened`: as it was begun first. */
  constructor(wait: Wait<T>, opened: T) {
    this.index = opened.live.index;
    this.#wait = wait;
    this.#opened = opened;
  }

  close(): void {
    this.#closed = true;
    this.#opened.live.close();
    this.#pause.end();
    this.#onClose();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TreeEvent> {
    try {
      while (!this.#closed) {
        try {
          yield* this.#wait.tell(this.#opened);
          return;
        } catch (error) {
          if (!isInterruption(error) || this.#closed) throw error;
          this.#opened.live.close();
          if (isMusterError(error, "storeUnavailable")) await this.#pause.wait(MEMBER_WATCH_RETRY_MS);
        }
        await this.#openAgain();
      }
    } finally {
      this.close();
    }
  }

  /** However long the store is away; until it is closed. */
  async #openAgain(): Promise<void> {
    const closed = new Promise<undefined>((resolve) => {
      this.#onClose = () => resolve(undefined);
    });
    while (!this.#closed) {
      const opening = this.#wait.open();
      try {
        const opened = await Promise.race([opening, closed]);
        if (opened !== undefined) this.#opened = opened;
        // It comes too late for anybody.
        else opening.then(({ live }) => live.close()).catch(() => undefined);
        return;
      } catch (error) {
        if (!isInterruption(error)) throw error;
      }
      await this.#pause.wait(MEMBER_WATCH_RETRY_MS);
    }
  }
}

/** Changes were missed, or the store is away: what stands answers for what happens meanwhile. */
function isInterruption(error: unknown): boolean {
  return isMusterError(error, "eventIndexCleared") || isMusterError(error, "storeUnavailable");
}

/**
 * Reads what stands and watches from behind it on. Where so much changes between the two that the tree does not reach back, it is
 * read again. Error: `storeUnavailable`, where that happens again and again.
 */
export async function openBehind<T extends { readonly revision: Revision }>(
  tree: Pick<Tree, "watch">,
  watch: TreeWatchRequest,
  read: () => Promise<T>,
): Promise<{ readonly standing: T; readonly live: TreeWatch }> {
  for (let attempt = 1; ; attempt++) {
    const standing = await read();
    try {
      return { standing, live: await tree.watch({ ...watch, waitIndex: standing.revision + 1 }) };
    } catch (error) {
      if (!isMusterError(error, "eventIndexCleared")) throw error;
      if (attempt === WAIT_OPENING_ATTEMPTS) {
        const advice = "Wait again: the store changed faster than a wait could be begun";
        throw new MusterError("storeUnavailable", advice, { cause: error });
      }
    }
  }
}
