/** What a watch reads that is behind: history, piece by piece. */
import type { Bytes } from "../base/bytes.ts";
import type { Event, Revision } from "./model.ts";

/** The changes of one revision, in the order of operations. */
export interface RevisionEvents {
  readonly revision: Revision;
  readonly events: readonly Event[];
}

export interface HistoryRequest {
  /** The first and the last revision wanted, both inclusive. */
  readonly from: Revision;
  readonly to: Revision;
  /** Which of the first one's changes comes first; absent: all do. */
  readonly fromSub?: number;
  readonly wants: (key: Bytes) => boolean;
}

/** A piece of history: all that was wanted before revision `next`, and of that what comes before `nextSub`. */
export interface HistoryPiece {
  readonly revisions: readonly RevisionEvents[];
  readonly next: Revision;
  /** Where a very large revision was read in part, its next change; absent and 0: it begins with the next piece. */
  readonly nextSub?: number;
}

/** Where changes are found again that are no longer in memory. */
export interface WatchHistory {
  /**
   * Reads a bounded piece at once, but for a store that has to be opened anew first. Only a revision that takes too long
   * for that is split. Errors: `compacted` (details.compactRevision) where `from` is forgotten; `storeUnavailable`.
   */
  read(request: HistoryRequest): Promise<HistoryPiece>;
}
