/** Limits of what the v2 tree remembers, their units in their names. */

/** Files of which it is remembered how this process left them, so that writing to them again need not read them. About 200 bytes each, and its path. */
export const MAX_KNOWN_FILES = 32_768;

/** Events of this process's own writes, the latest, that are kept until the store tells of them; of others it reads what the store tells. */
export const MAX_OWN_EVENTS = 1_024;

/** The most bytes of values that such an event may hold. */
export const MAX_OWN_EVENT_BYTES = 64 * 1024;
