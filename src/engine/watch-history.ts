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
  readonly wants: (key: Bytes) => boolean;
}

/** A piece of history: all that was wanted before revision `next`. */
export interface HistoryPiece {
  readonly revisions: readonly RevisionEvents[];
  readonly next: Revision;
}

/** Where changes are found again that are no longer in memory. */
export interface WatchHistory {
  /**
   * Reads a bounded piece, at once, without splitting a revision. Errors: `compacted` (details.compactRevision) where
   * `from` is forgotten; `storeUnavailable`.
   */
  read(request: HistoryRequest): HistoryPiece;
}
