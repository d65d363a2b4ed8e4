/** Limits of `muster export` and `muster import`, their units in their names. */

/** Leases that an export or an import asks the store about at a time. */
export const EXPORT_LEASES_AT_ONCE = 32;

/** Keys that an export reads at a time, at most: etcd counts all that are left each time, so few large steps are faster. */
export const EXPORT_MOST_KEYS = 131_072;

/** Bytes of keys and values that an export is to read at a time, going by the time before. */
export const EXPORT_PAGE_BYTES = 16 * 1024 * 1024;

/** The same where an export begins anew, and takes four times as much as the time before: at most so much. */
export const EXPORT_LARGEST_PAGE_BYTES = 256 * 1024 * 1024;

/** How often an export begins anew, in larger steps each time, when the moment that it reads is compacted meanwhile. */
export const EXPORT_ATTEMPTS = 4;

/** What an export or an import reads of its file, or writes to it, at a time, in bytes. */
export const EXPORT_PIECE_BYTES = 1024 * 1024;

/** The longest line of an export, in bytes; a text of 512 MiB is more than Node can hold. */
export const EXPORT_LINE_BYTES = 256 * 1024 * 1024;

/** How long an import tries again to write to an etcd that does not answer, in ms. */
export const IMPORT_PATIENCE_MS = 60_000;

/** How long an import waits before it tries again, in ms. */
export const IMPORT_RETRY_MS = 500;

/** How many keys one transaction of an import into a data directory writes. */
export const IMPORT_BATCH_KEYS = 4_096;

/** How many bytes of keys and values one transaction of an import into a data directory writes, about. */
export const IMPORT_BATCH_BYTES = 8 * 1024 * 1024;
