/**
 * The one error class of Muster. A code says what went wrong in a way that programs can act on; each face has a
 * table from codes to its own wire format, so a code that is added here must be given an answer there.
 */

/** Everything that can go wrong, by name. Faces map each of these; `satisfies Record<ErrorCode, …>` finds a forgotten one. */
export const ERROR_CODES = [
  /** The caller's request makes no sense: a bad argument, an empty key, a wrong combination. */
  "invalidArgument",
  /** A key is longer than the store can hold. */
  "keyTooLong",
  /** A request or value is larger than its limit. */
  "tooLarge",
  /** A transaction writes one key twice (etcd: "duplicate key given in txn request"). */
  "duplicateKey",
  /** A transaction has more operations than the limit (etcd: "too many operations in txn request"). */
  "tooManyOperations",
  /** The revision asked for has been compacted (etcd: "mvcc: required revision has been compacted"). */
  "compacted",
  /** The revision asked for has not happened yet (etcd: "mvcc: required revision is a future revision"). */
  "futureRevision",
  /** A put with ignoreValue or ignoreLease found no key (etcd: "key not found"). */
  "keyNotFound",
  /** The lease is unknown or has expired (etcd: "requested lease not found"). */
  "leaseNotFound",
  /** A lease with this ID exists (etcd: "lease already exists"). */
  "leaseExists",
  /** The lease's time to live is beyond the largest (etcd: "too large lease TTL"). */
  "leaseTtlTooLarge",
  /** The store cannot write now: disk full, read-only, device error. Reads may still work. */
  "storeUnavailable",
  /** A write was sent to the store and no answer came, or one that leaves this open: it was applied, or was not, or still will be. Nobody repeats it. */
  "outcomeUnknown",
  /** Refused because the store belongs to others too, who would be hurt. */
  "sharedStore",
  /** The engine was closed while, or before, the call was made. */
  "closed",
  /** Another process owns the data directory. */
  "directoryInUse",
  /** The data directory holds something that is not a sound Muster store. */
  "directoryCorrupt",
  /** The data directory was written by a newer Muster. */
  "directoryTooNew",
  /** An option, environment variable or configuration file is wrong. */
  "configInvalid",
  /** An address to listen on is taken. */
  "addressInUse",
  /** The v2 tree has no such file or directory (v2: 100). */
  "nodeNotFound",
  /** A compare of value or index failed (v2: 101). */
  "compareFailed",
  /** A directory stands where a file was asked for (v2: 102). */
  "notFile",
  /** A file stands where a directory was asked for (v2: 104). */
  "notDirectory",
  /** The node exists already (v2: 105). */
  "nodeExists",
  /** The root, or what a mount does not let change, is read only (v2: 107). */
  "readOnly",
  /** The directory has children (v2: 108). */
  "directoryNotEmpty",
  /** Events from the index asked for on are no longer kept (v2: 401). */
  "eventIndexCleared",
  /** A form or query field has a value that it cannot have (v2: 209 and the 2xx of the field). */
  "invalidField",
  /** A change of users and roles that etcd would refuse too; details.reason says why. */
  "authRefused",
  /** Too many writers changed the same keys for too long; the caller may try again. */
  "contention",
  /** A defect of Muster. */
  "internal",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * An error with a code. The message says what to do first, quotes the value that is wrong, and gives the state after
 * a colon; `details` carries numbers that a face needs for its own words (such as the compacted revision).
 */
export class MusterError extends Error {
  override readonly name = "MusterError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, number | string>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly details?: Readonly<Record<string, number | string>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Whether `error` is a MusterError, with this code if one is given. */
export function isMusterError(error: unknown, code?: ErrorCode): error is MusterError {
  return error instanceof MusterError && (code === undefined || error.code === code);
}
