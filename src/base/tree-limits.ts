/** Limits of the v2 tree, their units in their names. */

/** How many keys the first read of a directory's listing takes; later ones double while children are plain keys. */
export const TREE_SCAN_FIRST_KEYS = 32;

/** How many keys a read of a listing takes at least: after it met subtrees, of which a few keys are enough. */
export const TREE_SCAN_LEAST_KEYS = 4;

/** How many keys a read of a listing takes at most, so that it neither holds the event loop long nor much memory. */
export const TREE_SCAN_MOST_KEYS = 512;

/** How many bytes of values a read of a listing is to take, going by the read before; beyond, it takes fewer keys. */
export const TREE_SCAN_BYTES = 1024 * 1024;

/** The first buffer that a listing's nodes are packed into: most listings fit, and Node takes it from its pool. */
export const PACKED_FIRST_BUFFER_BYTES = 2048;

/** The largest such buffer, but for a single node that needs more; each is four times the one before. */
export const PACKED_MOST_BUFFER_BYTES = 1024 * 1024;

/** How often a v2 write is tried again when others overtake it, before it gives up with `contention`. */
export const TREE_WRITE_ATTEMPTS = 64;

/** How often a read of the v2 tree begins anew when the revision that it reads at is compacted meanwhile. */
export const TREE_READ_ATTEMPTS = 8;

/** How often an in-order key is tried with the name that etcd would give it; then any name that keeps the order will do. */
export const TREE_EXACT_NAME_ATTEMPTS = 8;

/** Directories of which it is remembered what was found there, so that creating a file need not read them. About 300 bytes each. */
export const MAX_KNOWN_DIRECTORIES = 16_384;

/** Files that only v3 wrote of which it is remembered that they have no side record. About 150 bytes each, and its path. */
export const MAX_KNOWN_BARE_FILES = 32_768;

/** Nodes whose latest reading is kept, so that the next one need not read it. */
export const MAX_TREE_READINGS = 1_024;

/** The largest reading that is kept, in bytes of paths and values; the answer made of it is kept too. */
export const TREE_READING_BYTES = 16 * 1024;

/** Events that v2 watches find in memory; older ones are read from the engine. etcd v2 keeps 1,000 and no more. */
export const TREE_HISTORY_EVENTS = 4096;

/** Bytes of keys and values that the events kept in memory may hold; beyond, the oldest go (1,000 small ones always fit). */
export const TREE_HISTORY_BYTES = 64 * 1024 * 1024;

/** Events that are looked at to find out whether something stands as it did: reading it anew takes about as long. */
export const TREE_UNTOUCHED_LOOKS = 512;

/** Events that a v2 watch may be behind before it is ended with a named error; more than the memory's, which may all be told at once. */
export const TREE_WATCH_QUEUE_EVENTS = 2 * TREE_HISTORY_EVENTS;

/**
 * Due nodes that one turn of the v2 sweeper reads, and lets go side by side; as many again may be on their way to the
 * disk meanwhile. At most MAX_TXN_OPERATIONS, as so many stale ones go in one transaction.
 */
export const TREE_SWEEP_BATCH = 128;

/** Stale entries of the v2 expiry index that go along with a node that expires: what it takes itself must fit beside them. */
export const STALE_EXPIRIES_PER_WRITE = 64;

/** The longest that the v2 sweeper sleeps while some node is to go: timers stand still while the machine sleeps. */
export const TREE_SWEEP_LONGEST_SLEEP_MS = 500;

/** How long the v2 sweeper waits after a failure. */
export const TREE_SWEEP_RETRY_MS = 1_000;

/** How long the v2 tree waits before it watches the engine anew, when its watch broke. */
export const TREE_WATCH_RETRY_MS = 100;

/** Files of which it is remembered how this process left them, so that writing to them again need not read them. About 200 bytes each, and its path. */
export const MAX_KNOWN_FILES = 32_768;

/** Events of this process's own writes, the latest, that are kept until the store tells of them; of others it reads what the store tells. */
export const MAX_OWN_EVENTS = 1_024;

/** The most bytes of values that such an event may hold. */
export const MAX_OWN_EVENT_BYTES = 64 * 1024;
