/** Limits of what the v2 tree remembers, their units in their names. */

/** Files of which it is remembered how this process left them, so that writing to them again need not read them. About 200 bytes each, and its path. */
export const MAX_KNOWN_FILES = 32_768;
