/** The limits of what is worked out before the embedded store can take it, their units in their names. */

/**
 * Changes of keys that are worked out while those before them are synced; what comes beyond waits for the next sync. They
 * are written in one turn of the event loop, at two or three µs each.
 */
export const WRITE_AHEAD_CHANGES = 2_048;

/** Bytes of such changes that are enough, however few they are: they are held in memory until they are synced. */
export const WRITE_AHEAD_BYTES = 16 * 1024 * 1024;
