/** Limits of how fast the background compaction goes beside those who write, their units in their names. */

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
