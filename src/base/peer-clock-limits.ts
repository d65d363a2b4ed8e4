/** Limits of comparing the clocks of all processes on a store, their units in their names. */

/**
 * How far a process's clock may be from the middle of all clocks on a store that several share. NTP keeps them within
 * some ms; they are compared through the store, which may take PEER_CLOCK_TRIP_MS for it.
 */
export const MAX_PEER_CLOCK_MS = 1_000;

/** The longest way to a peer and back by which its clock is read: half of it is how wrong the reading may be. */
export const PEER_CLOCK_TRIP_MS = 1_000;

/** How far two clocks may drift apart in each ms, in ms: twice as fast as NTP lets one go (500 ppm). */
export const PEER_CLOCK_DRIFT = 0.001;

/** How often a process asks its peers for their time, when nobody else does. */
export const PEER_CLOCK_INTERVAL_MS = 60_000;

/** How long an answer waits for others who ask, so that one does for all. */
export const PEER_CLOCK_ANSWER_MS = 50;

/** How long a process that starts waits for peers that may be there no more. */
export const PEER_CLOCK_SETTLE_MS = 1_000;

/** When a process asks again that is in doubt: it waits for answers, or its clock is off. Then twice as long, up to PEER_CLOCK_DOUBT_INTERVAL_MS. */
export const PEER_CLOCK_RETRY_MS = 500;

/**
 * How often a process that is in doubt asks at least: a peer that died keeps it there until PEER_CLOCK_ASKS + 1 of these
 * have passed. One that lives may be silent for as long as it needs to find another endpoint of its store, some 10 s by
 * the store's deadlines, and for a trip more: less than PEER_CLOCK_ASKS times PEER_CLOCK_DOUBT_ROUND_MS.
 */
export const PEER_CLOCK_DOUBT_INTERVAL_MS = 7_000;

/** How long a process may not know how its clock stands to its peers' before it says so. */
export const PEER_CLOCK_UNKNOWN_NOTICE_MS = 20_000;

/** How far apart asks of a process in doubt are that count, at least: one may have been on its way for a trip longer than the next. */
export const PEER_CLOCK_DOUBT_ROUND_MS = PEER_CLOCK_DOUBT_INTERVAL_MS - PEER_CLOCK_TRIP_MS;

/** The same of one that is not, which has time. */
export const PEER_CLOCK_ROUND_MS = PEER_CLOCK_INTERVAL_MS / 2;

/** How many asks that count a peer may leave unanswered before it is taken to have gone with the next. */
export const PEER_CLOCK_ASKS = 3;

/** How long the clock of a peer that has left still counts where it was in doubt: a right one that is started again must not leave a wrong one alone. */
export const PEER_CLOCK_GRACE_MS = 10_000;
