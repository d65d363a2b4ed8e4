/** The limits of Muster, the unit of each in its name; some groups have a file of their own beside it. Those that operators may change have an option in server/config. */

/** Operations (and compares) in one level of a transaction; etcd's default (--max-txn-ops). */
export const MAX_TXN_OPERATIONS = 128;

/** The largest time to live of a lease; etcd's. */
export const MAX_LEASE_TTL_S = 9_000_000_000;

/** The least time to live of a lease: what etcd grants with its default election time-out. */
export const MIN_LEASE_TTL_S = 2;

/** LMDB's own limit for a key with 4 KiB pages; longer keys get a named error. */
export const MAX_KEY_BYTES = 1978;

/** How far the wall clock may get from the monotonic one between two looks until it has jumped. Less is followed. */
export const CLOCK_JUMP_MS = 500;

/** How old an answer about the store's health may be: askers within it share one durable probe. */
export const HEALTH_PROBE_INTERVAL_MS = 1_000;

/** A durable probe that takes longer than this counts as failed: the disk hangs. */
export const HEALTH_PROBE_DEADLINE_MS = 3_000;

/** The most members that a token may ask for: etcd's raft is unfit for far fewer, and a list of them is read at every registration. */
export const MAX_CLUSTER_SIZE = 1000;

/**
 * How long after a token became complete a node that begins its bootstrap over is still let in: time for a machine that
 * died on the way to boot again.
 */
export const START_OVER_MS = 10 * 60 * 1000;

/**
 * How long after it was shown the complete list a member may still begin over: it may have died before it could start.
 * etcd takes some seconds from the list to its first vote.
 */
export const TOLD_GRACE_MS = 30_000;

/** Members of which it is remembered what they were shown; of others it counts as unknown. A few tens of bytes each. */
export const MAX_TOLD_MEMBERS = 100_000;

/** Tokens that are remembered of one connection; a node has one, a proxy's connection may serve many. */
export const MAX_CONNECTION_TOKENS = 16;

/** Tokens of which it is remembered how they stand, so that a registration need not read them. Up to about 1,500 bytes each. */
export const MAX_KNOWN_TOKENS = 16_384;

/** Members of a known token of which it is remembered who they are; a cluster of more is read when it becomes complete. */
export const MAX_KNOWN_MEMBERS = 9;

/** About the memory that readings of tokens which are kept may take, in bytes; as much again for the answers made of them. */
export const TOKEN_READINGS_BYTES = 16 * 1024 * 1024;

/** The largest reading of a token that is kept, in bytes. */
export const TOKEN_READING_BYTES = 64 * 1024;

/** How many expired tokens one turn of the sweeper reads, and lets go side by side. */
export const TOKEN_SWEEP_BATCH = 32;

/** Expired tokens of one sweep that get a line each in the log; more are summed up in one. */
export const TOKEN_SWEEP_TOLD = 10;

/** How often a v3 write below a token is tried again when others registered meanwhile, before it gives up with `contention`. */
export const REGISTRY_TXN_ATTEMPTS = 64;

/**
 * How long the refusal of a v3 watch on a token that is not there is held back, in ms: an etcd that waits for its peers
 * asks for the same again at once, for ever.
 */
export const REFUSED_WATCH_MS = 1_000;

/**
 * Watches that a stream on the public listener may ask for as long as it lasts. A node has one, and asks for another
 * when that breaks; each takes about 5 KB, and anybody may ask.
 */
export const MAX_PUBLIC_STREAM_WATCHES = 256;

/**
 * How long a wait at a token that was interrupted waits until it is begun again, where the store cannot be reached: many
 * may wait, and each of them asks.
 */
export const MEMBER_WATCH_RETRY_MS = 1_000;

/** The longest time between two looks at expired tokens, in ms: how late one may go when the machine slept. */
export const TOKEN_SWEEP_INTERVAL_MS = 60_000;

/** How often the log tells of one address that it asks for tokens that are not there. */
export const UNKNOWN_TOKEN_INTERVAL_MS = 60_000;

/** Of how many addresses the log tells that within one such time. */
export const MAX_UNKNOWN_TOKEN_LINES = 100;

/** Connections open at a time on one address; beyond it a request is answered 503. Operators: --max-connections. */
export const DEFAULT_MAX_CONNECTIONS = 10_000;

/** Connections beyond --max-connections that are kept long enough to be told so; those beyond these are just closed. */
export const MAX_REFUSED_CONNECTIONS = 1_000;

/** Requests that one turn of the event loop begins to handle together; those beyond begin in the next one. */
export const MAX_REQUESTS_PER_TURN = 256;

/** Requests of one connection that may wait behind another's answer (pipelining, which no client of etcd does). */
export const MAX_PIPELINED_REQUESTS = 256;

/** How long a pipelined request waits for its turn; what stands before it for longer is a wait that nobody may read. */
export const PIPELINE_PATIENCE_MS = 10_000;

/** How long a connection is read on after an answer that ends it; as Go's server does. */
export const LINGER_MS = 500;

/** How long a connection that is one too many may take to send the request that is then refused. */
export const REFUSED_CONNECTION_MS = 10_000;

/** What a gRPC message may be longer than --max-request-bytes, in bytes: etcd's allowance for what stands around a request. */
export const GRPC_OVERHEAD_BYTES = 512 * 1024;

/** What the calls of one HTTP/2 connection may make Muster keep, in bytes: unfinished requests and unread answers. */
export const MAX_CONNECTION_KEPT_BYTES = 256 * 1024 * 1024;

/** What a call may keep without being counted, in bytes: MAX_STREAMS_PER_CONNECTION of them keep 64 MiB. */
export const UNCOUNTED_CALL_BYTES = 16 * 1024;

/** How long a TLS handshake may take. */
export const TLS_HANDSHAKE_MS = 20_000;

/** How often a listener's log tells of one reason why TLS handshakes fail. */
export const FAILED_HANDSHAKE_INTERVAL_MS = 60_000;

/** URL and headers of a request on the public listener together, in bytes; and a call's headers. */
export const MAX_HEADER_BYTES = 16_384;

/**
 * URL and headers of a request on the client listener together, in bytes. Go's default is 1 MiB, but whoever opens
 * DEFAULT_MAX_CONNECTIONS and ends no request makes Muster keep so much for each: that is 640 MiB here.
 */
export const MAX_CLIENT_HEADER_BYTES = 65_536;

/** Header lines of a request. */
export const MAX_HEADERS = 100;

/**
 * How long an idle connection stays open. Go's client keeps one for 90 s and fails a PUT on one that was just closed,
 * which is fatal to an etcd before 3.6 that registers.
 */
export const KEEP_ALIVE_MS = 120_000;

/** How long headers may take from the first byte on, and how long a new connection may stay silent (see KEEP_ALIVE_MS). */
export const HEADERS_DEADLINE_MS = 120_000;

/** How long a whole request, its body included, may take to arrive. A wait counts only until it has been asked. */
export const REQUEST_DEADLINE_MS = 180_000;

/** How long requests under way get to finish when the service stops; waits are ended at once. */
export const DRAIN_MS = 3_000;

/** All of stopping; then the process ends, done or not. */
export const STOP_DEADLINE_MS = 4_500;

/** A second signal within this time is the first one's echo: npm passes a Ctrl-C on that the terminal sent already. */
export const SIGNAL_ECHO_MS = 100;

/** A v2 answer of at most about so many characters is sent whole, with its length; a longer one in pieces of this size. */
export const V2_ANSWER_PIECE_CHARS = 128 * 1024;

/** Key-values of a v3 answer that are encoded at a time; more go in several turns of the event loop. */
export const V3_ANSWER_PIECE_KEYS = 2_000;

/** Bytes of keys and values in such a piece; one key-value may be more. */
export const V3_ANSWER_PIECE_BYTES = 1024 * 1024;

/** Key-values in the first message of a streamed range; later ones have more, as many as fit; etcd's. */
export const RANGE_STREAM_FIRST_KEYS = 10;

/** How many bytes a message of a streamed range is to have, about; etcd's default for a request. */
export const RANGE_STREAM_BYTES = 1536 * 1024;

/** The largest form body of a v2 request; a value may fill it. etcd's default for a request. Operators: --max-request-bytes. */
export const V2_BODY_BYTES = 1536 * 1024;

/** Fields of a v2 request's query or form; etcd knows fifteen. */
export const MAX_FORM_FIELDS = 1_000;

/**
 * Address space that the embedded store maps. It costs no memory and no disk, and fits into that of every 64-bit machine
 * (on some small ones it has 39 bits). The store may grow beyond: LMDB then maps anew, which is only slower.
 */
export const LMDB_MAP_BYTES = 2 ** 36;

/** The smallest map, where the process may have little address space. */
export const LMDB_LEAST_MAP_BYTES = 2 ** 28;

/**
 * Event-loop work that one group commit may take for the transactions in it; those left over go into the next. The last
 * that is begun may take as long again; if it takes longer, it goes on in the next.
 */
export const WRITE_SLICE_MS = 10;

/** How long it takes until the undoing of an unfinished write is tried again, when the store could not be written. */
export const ROLLBACK_RETRY_MS = 1_000;

/** Event-loop work that a long read does in its turn before it lets others run. */
export const READ_SLICE_MS = 10;

/** Event-loop work on requests and answers in one turn; beyond, tokens take turns, so that a busy one holds up no other. */
export const FAIR_SLICE_MS = 0.25;

/** Who wait for no more than one event that are told theirs in one piece of such work. */
export const FIRST_EVENTS_PER_TURN = 8;

/** Event-loop work that a read does at once; beyond, it takes turns with the other long ones. Many may come at once. */
export const FIRST_READ_SLICE_MS = 2;

/**
 * The largest data file whose pages are all looked at before it is opened; of a larger one only the tables' first ones
 * are. Looking takes about half a second for a GiB.
 */
export const FULL_FILE_CHECK_BYTES = 2 ** 30;

/** How often expired leases are looked for; etcd's. */
export const LEASE_CHECK_MS = 500;

/** Expired leases that are being ended at a time; others may write in between. */
export const LEASE_END_BATCH = 256;

/** Keys of a lease that are told at once; more are read in slices while nobody writes. */
export const LEASE_FIRST_KEYS = 2_000;

/** Keys of a lease that such a slice reads: each has to pass those before it, so that there should not be many slices. */
export const LEASE_KEYS_PER_READ = 10_000;

/** Events that wait for a watch's reader in memory, and that one read of history takes; beyond it reads from history. */
export const WATCH_QUEUE_EVENTS = 1_000;

/** Bytes of keys and values that wait for a watch's reader in memory; beyond it reads from history. */
export const WATCH_QUEUE_BYTES = 1024 * 1024;

/** Bytes that wait in memory for the readers of all watches together; beyond, those that waited longest are read from history. */
export const WATCH_QUEUES_BYTES = 256 * 1024 * 1024;

/** What a message that waits takes beside keys and values, about. */
export const WATCH_MESSAGE_BYTES = 256;

/** What a probe of the store writes: as many pages as a few ordinary writes need, so that a full disk shows before they fail. */
export const PROBE_BYTES = 128 * 1024;

/** Bytes of a snapshot that are read and sent at a time; as etcd's. */
export const SNAPSHOT_PIECE_BYTES = 32 * 1024;

/** Revisions that a response to a v3 watch tells together while the watch catches up; etcd's. */
export const WATCH_RESPONSE_REVISIONS = 1_000;

/** Bytes of events beyond which such a response takes no further revision: some clients refuse messages over 4 MiB. */
export const WATCH_RESPONSE_BYTES = 1024 * 1024;

/** The largest response to a v3 watch that asked for fragments, but for a single event that is larger; etcd's. */
export const WATCH_RESPONSE_FRAGMENT_BYTES = 2 * 1024 * 1024;

/** How long a v3 watch that asked for progress notices is idle until it gets one; etcd's. */
export const WATCH_PROGRESS_INTERVAL_MS = 10 * 60 * 1000;

/** Snapshots that are sent at a time: each takes as much disk as what lives in the store, for as long as its client takes. */
export const MAX_SNAPSHOTS = 4;

/** Keys that the hash of the keyspace reads at a time, at most. */
export const HASH_PAGE_KEYS = 128;

/** Bytes of keys and values that it is to read at a time, going by the time before. */
export const HASH_PAGE_BYTES = 1024 * 1024;

/** How often the hash of the newest revision begins anew when that is compacted meanwhile. */
export const HASH_ATTEMPTS = 5;

/** How often those who watch the health over gRPC make Muster look; each look costs a sync, however many watch. */
export const HEALTH_WATCH_INTERVAL_MS = 5_000;
