/** Limits of an HTTP/2 connection; see also limits.ts. */

/** Calls that one HTTP/2 connection may have open at a time; a client of gRPC keeps further ones back until one ends. */
export const MAX_STREAMS_PER_CONNECTION = 4_096;

/** What a client may send on one call, in bytes, before anybody reads it. */
export const HTTP2_STREAM_WINDOW_BYTES = 256 * 1024;

/** What a client may send on one HTTP/2 connection, in bytes, before anybody reads it. */
export const HTTP2_CONNECTION_WINDOW_BYTES = 1024 * 1024;

/**
 * How often a client may do what costs the server more than the client, on one HTTP/2 connection at once: reset calls, open
 * too many, break a rule that costs one call, send SETTINGS, or frames with nothing in them.
 */
export const HTTP2_RESET_BURST = 10_000;

/** How often it may do so each second, beyond HTTP2_RESET_BURST. */
export const HTTP2_RESETS_PER_SECOND = 1_000;

/** What of the fields of one request may come in bytes as they are compressed. */
export const MAX_FIELD_BLOCK_BYTES = 64 * 1024;

/** Frames that the fields of one request may come in. */
export const MAX_FIELD_FRAMES = 64;

/** What a client may leave unread of an HTTP/2 connection, in bytes, and still be answered when it asks for signs of life. */
export const MAX_UNREAD_BYTES = 1024 * 1024;

/** How long a client has to read why its HTTP/2 connection was ended, or may read nothing of what it was ended with, in ms. */
export const HTTP2_LAST_WORDS_MS = 5_000;
