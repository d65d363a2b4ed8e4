/** The steps of one group commit: one that is refused leaves nothing and disturbs no other. */
import { isMusterError } from "../../base/errors.ts";
import { WRITE_SLICE_MS } from "../../base/limits.ts";
import type { Draft } from "./lmdb-draft.ts";
import type { Step, Tell, UnderWay } from "./lmdb-work.ts";

export class Group {
  readonly #waiting: readonly Step[];
  readonly #tell: Tell[] = [];
  #size = 0;
  #underWay: UnderWay | undefined;
  #culprit: { readonly index: number; readonly step: Step } | undefined;

  constructor(waiting: readonly Step[]) {
    this.#waiting = waiting;
  }

  /** How many of those who wait were begun. */
  get size(): number {
    return this.#size;
  }

  /** The last of them, if its work is not done. */
  get underWay(): UnderWay | undefined {
    return this.#underWay;
  }

  /** The step that threw after it had written, or threw what is no refusal. */
  get culprit(): { readonly index: number; readonly step: Step } | undefined {
    return this.#culprit;
  }

  /** Runs steps while there are some and the time lasts; at least one. One that takes longer than a slice is the last. */
  fill(draft: Draft, monotonic: () => number): void {
    let now = monotonic();
    const deadline = now + WRITE_SLICE_MS;
    for (const [index, step] of this.#waiting.entries()) {
      draft.slice.begin(now);
      this.#size++;
      this.#begin(draft, step, index);
      now = monotonic();
      if (this.#underWay !== undefined || now >= deadline) {
        return;
      }
    }
  }

  /** Gives a step that is under way its next slice. */
  goOn(underWay: UnderWay): void {
    const { step, draft, writesBefore } = underWay;
    draft.slice.begin();
    try {
      this.#advance(underWay);
    } catch (error) {
      if (!isRefusal(error, draft, writesBefore)) {
        throw error;
      }
      this.#tell.push(() => step.reject(error));
    }
  }

  tellAll(): void {
    for (const tell of this.#tell) {
      tell();
    }
  }

  #begin(draft: Draft, step: Step, index: number): void {
    const writesBefore = draft.writes;
    try {
      const begun = step.begin(draft);
      if (typeof begun === "function") {
        this.#tell.push(begun);
      } else {
        this.#advance({ step, draft, work: begun, writesBefore });
      }
    } catch (error) {
      if (!isRefusal(error, draft, writesBefore)) {
        this.#culprit = { index, step };
        throw error;
      }
      this.#tell.push(() => step.reject(error));
    }
  }

  #advance(underWay: UnderWay): void {
    const { done, value } = underWay.work.next();
    if (done === true) {
      this.#tell.push(value);
    } else {
      this.#underWay = underWay;
    }
  }
}

/** A step may refuse as long as it has written nothing. */
function isRefusal(error: unknown, draft: Draft, writesBefore: number): boolean {
  return isMusterError(error) && draft.writes === writesBefore;
}
