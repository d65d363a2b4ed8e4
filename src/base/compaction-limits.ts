/** Limits of compaction: how much history is kept, and how fast the rest of it goes, their units in their names. */

/**
 * Changes that one step of the background compaction forgets at a time; steps ride along with the writes of others. A step
 * does this again until it has kept up with them (COMPACTION_FREED_OF_WRITTEN).
 */
export const COMPACTION_STEP_CHANGES = 256;

/** Bytes of forgotten changes that are enough at a time, however few they are: LMDB hands out copies. */
export const COMPACTION_STEP_BYTES = 4 * 1024 * 1024;

/** How long the background compaction waits after the store could not be written. */
export const COMPACTION_RETRY_MS = 1_000;

/** How much history the automatic compaction keeps by default, in ms; more, where COMPACTION_KEEP_REVISIONS keeps more. */
export const COMPACTION_KEEP_MS = 60 * 60 * 1000;

/** How many revisions the automatic compaction keeps by default; more, where COMPACTION_KEEP_MS keeps more. */
export const COMPACTION_KEEP_REVISIONS = 10_000;

/**
 * Disk that history may take, whatever COMPACTION_KEEP_MS and COMPACTION_KEEP_REVISIONS ask for; more, where
 * COMPACTION_HISTORY_OF_LIVE allows more. Steady overwriting would fill every disk within the hour that is to be kept.
 */
export const COMPACTION_HISTORY_BYTES = 64 * 1024 * 1024;

/** Disk that history may take as a part of what lives takes: with what is free for a while, the file stays within three times that. */
export const COMPACTION_HISTORY_OF_LIVE = 0.5;

/** Revisions that are kept even where their history takes more disk than that; etcd v2 keeps so many events. */
export const COMPACTION_LEAST_REVISIONS = 1_000;

/**
 * How often the automatic compaction looks: often enough that a store does not grow much between two looks, though it is
 * overwritten as fast as its disk allows. Where nothing was written, a look costs a few µs.
 */
export const COMPACTION_INTERVAL_MS = 100;

/**
 * How many changes a step forgets for each one written since the last, as long as WRITE_SLICE_MS allow it, and
 * COMPACTION_STEP_CHANGES at least. With 1 history that is too long would stay so; those who write pay for what is above.
 */
export const COMPACTION_FREED_OF_WRITTEN = 1.25;

/**
 * How long the background compaction waits after a step beside which others wrote, in ms: without a pause it would begin
 * a commit of its own whenever one ends, and whoever comes next would wait for that one's sync.
 */
export const COMPACTION_PAUSE_MS = 5;
