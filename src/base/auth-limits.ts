/** Limits of users and roles, their units in their names. */

/** How often a change of users and roles is tried again when others change some too, before it gives up with `contention`. */
export const AUTH_WRITE_ATTEMPTS = 64;

/** The largest record of a user or role, in bytes: it fits into what an etcd takes as one request. */
export const AUTH_RECORD_BYTES = 1024 * 1024;
