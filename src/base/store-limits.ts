/** The limits of a store that lies in a remote etcd, their units in their names. */

/** How long a call to a remote store may take in all, every endpoint tried. A write that was sent by then has an unknown outcome. */
export const STORE_DEADLINE_MS = 5_000;

/** How long a call may take at least, however long the store has been failing; a client's request may need several. */
export const STORE_TROUBLED_DEADLINE_MS = 1_000;

/** With less time left than this a call to a remote store is not begun: it could only run out, and a write's outcome be unknown. */
export const STORE_LEAST_CALL_MS = 50;

/** How long one endpoint of a remote store may take to connect, or to answer a read, before the next one is asked. */
export const STORE_ATTEMPT_MS = 2_000;

/** How long a call waits when every endpoint of a remote store has just failed, before it asks them again. */
export const STORE_RETRY_MS = 100;

/** How long a broken connection to an endpoint of a remote store is left alone at most, before it is tried again. */
export const STORE_RECONNECT_MS = 1_000;

/** How long a watch waits at most, after all endpoints of a remote store failed it, before it asks them again. */
export const STORE_WATCH_RETRY_MS = 1_000;

/** How long watches of an endpoint may hear nothing until it is asked whether it lives, and how often they ask how far they are. */
export const STORE_PULSE_MS = 2_000;

/** How long an answered question for a watch's progress is doubted, where etcd (before 3.5.8) may answer before the events. */
export const STORE_PROGRESS_DOUBT_MS = 250;

/** How old what is known of a remote store's compaction by others may be when it is told, in ms; reads and watches are always exact. */
export const STORE_COMPACTION_AGE_MS = 10_000;

/** How long etcd gets to say to where history is compacted: it looks at watches that begin there every 100 ms. */
export const STORE_COMPACTION_LOOK_MS = 500;

/** What etcd may send on one stream before it is read, in bytes. */
export const STORE_STREAM_WINDOW_BYTES = 256 * 1024;

/** How often a silent connection to a remote store is pinged; etcd refuses less than 5 s. */
export const STORE_PING_MS = 10_000;

/** The longest text that all keys in a shared etcd begin with, in bytes. */
export const MAX_STORE_PREFIX_BYTES = 256;

/**
 * How long calls to a remote store that are under way may take once it is closed; and how long the service waits, when it
 * stops, before it closes the store while others still ask it. Twice that and DRAIN_MS must fit into STOP_DEADLINE_MS.
 */
export const STORE_CLOSE_MS = 250;

/** Keys of a large range that one call to etcd reads: the first one, and then at least and at most so many. */
export const STORE_PAGE_KEYS = { first: 1_000, least: 16, most: 20_000 } as const;

/** How many bytes of keys and values one call of a large range is to read, about: far less than an attempt's time takes. */
export const STORE_PAGE_BYTES = 8 * 1024 * 1024;

/** How often a large range of the newest revision is begun where compactions overtake it. */
export const STORE_PAGED_ATTEMPTS = 3;

/**
 * How many long ranges (see STORE_LONG_RANGE_KEYS) one process has etcd work at at a time. Each takes one of etcd's
 * processors for seconds; two are as quick as many on a small machine, and leave room for all else.
 */
export const STORE_LONG_RANGES = 2;

/** A range of so many keys is long: etcd goes over all of them, also where it is to tell only a few. */
export const STORE_LONG_RANGE_KEYS = 50_000;

/** How long a range counts as long after it was seen to be, in ms. */
export const STORE_LONG_RANGE_KEPT_MS = 60_000;

/** How many ranges are remembered by how long they are. */
export const STORE_KNOWN_RANGES = 1_000;

/** Which share of its time a long range waits in line at most: etcd needs the rest, and works on at a range that is given up. */
export const STORE_LINE_SHARE = 0.5;

/**
 * Which share of its time a range over unknown keys waits at most for the one that went first: that one may have to find
 * another endpoint, for which it needs STORE_RANGE_DOUBT_MS and STORE_ATTEMPT_MS.
 */
export const STORE_FIRST_SHARE = 0.8;

/** After how long without an answer to a range the endpoint is asked for something small, to know whether it lives. */
export const STORE_RANGE_DOUBT_MS = STORE_ATTEMPT_MS / 2;

/**
 * How often a wait at a token is begun behind what was just read, where meanwhile so much changes that the latest events do
 * not reach back to it. Whoever waits is asked to come again after that.
 */
export const WAIT_OPENING_ATTEMPTS = 10;
