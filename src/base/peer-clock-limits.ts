/** Limits of comparing the clocks of all processes on a store, their units in their names. */

/**
 * How far a process's clock may be from the middle of all clocks on a store that several share. NTP keeps them within
 * some ms; they are compared through the store, which may take PEER_CLOCK_TRIP_MS for it.
 */
export const MAX_PEER_CLOCK_MS = 1_000;

/** The longest way to a peer and back by which its clock is read: half of it is how wrong the reading may be. */
export const PEER_CLOCK_TRIP_MS = 1_000;

/** How often a process asks its peers for their time, when nobody else does. */
export const PEER_CLOCK_INTERVAL_MS = 60_000;

/** How long an answer waits for others who ask, so that one does for all. */
export const PEER_CLOCK_ANSWER_MS = 50;

/** How long a process that starts waits for peers that may be there no more. */
export const PEER_CLOCK_SETTLE_MS = 1_000;

/** When a process asks again that waits for answers, or whose clock is off; then twice as long, up to PEER_CLOCK_INTERVAL_MS. */
export const PEER_CLOCK_RETRY_MS = 500;

/** How long a process may not know how its clock stands to its peers' before it says so. */
export const PEER_CLOCK_UNKNOWN_NOTICE_MS = 20_000;

/** How often a process asks in vain, at half PEER_CLOCK_INTERVAL_MS or more, before a peer is taken to have gone. */
export const PEER_CLOCK_ASKS = 3;
