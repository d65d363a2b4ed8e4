/** What the writer of the store is given to do. */
import type { Draft } from "./lmdb-draft.ts";

/**
 * Work in slices: it yields when the draft says that a slice is over (`isOver`), and goes on in a later LMDB transaction
 * on the same draft. It may throw a MusterError to refuse, as long as it has written nothing, and does what is to be
 * done in memory after its last yield.
 */
export type Work<T> = Generator<void, T, void>;

/** Begins work on a draft. */
export type SlicedStep<T> = (draft: Draft) => Work<T>;

/** Tells the caller of what was done, once all is synced. */
export type Tell = () => void;

/** What waits to be written: it is done when it is begun, or answers with work to be gone on with. */
export interface Step {
  readonly begin: (draft: Draft) => Tell | Work<Tell>;
  readonly reject: (error: unknown) => void;
}

/** A step whose work has begun, and was not done in its first slice. */
export interface UnderWay {
  readonly step: Step;
  readonly draft: Draft;
  readonly work: Work<Tell>;
  /** What the draft had written before it: as long as it is no more, the step may refuse. */
  readonly writesBefore: number;
}
