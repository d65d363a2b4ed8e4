/** What etcd's errors mean: etcd tells them apart by their text. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { type ErrorCode, isMusterError, MusterError } from "../../base/errors.ts";

/**
 * What to make of a call that failed.
 * `answer`: etcd's own answer; whoever asks again gets the same.
 * `token`: the token has to be renewed; nothing was done.
 * `refused`: nothing was done; another endpoint may do it.
 * `unknown`: perhaps it was done.
 */
export interface Failure {
  readonly kind: "answer" | "token" | "refused" | "unknown";
  readonly error: MusterError;
  /** What an operator has to put right: etcd does not let the user in, or not do what was asked. */
  readonly complaint?: "user" | "request";
  /** etcd answers so of writes that it refused, and of writes that it applied. */
  readonly mayBeDone?: boolean;
}

/** Thrown where nothing was done, and another endpoint, or the same one later, may do it. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

const ANSWERS: readonly (readonly [words: string, code: ErrorCode])[] = [
  ["required revision has been compacted", "compacted"],
  ["required revision is a future revision", "futureRevision"],
  ["duplicate key given in txn request", "duplicateKey"],
  ["too many operations in txn request", "tooManyOperations"],
  ["key not found", "keyNotFound"],
  ["requested lease not found", "leaseNotFound"],
  ["lease already exists", "leaseExists"],
  ["too large lease TTL", "leaseTtlTooLarge"],
  ["key is not provided", "invalidArgument"],
  ["value is provided", "invalidArgument"],
  ["lease is provided", "invalidArgument"],
  ["invalid sort option", "invalidArgument"],
  ["request is too large", "tooLarge"],
  // Said by gRPC, before etcd itself sees the request.
  ["received message larger than max", "tooLarge"],
];

/**
 * What etcd answers when its space quota is used up: of a write that it refused, before it proposed it or because of the alarm, and
 * in the same words of the one that used it up, which it applied (apply.go: quotaApplierV3).
 */
const NO_SPACE = "database space exceeded";

/** What an operator has to put right; nothing was done, unless it is NO_SPACE. */
const COMPLAINTS: readonly (readonly [words: string, complaint: NonNullable<Failure["complaint"]>, advice: string])[] =
  [
    [NO_SPACE, "request", "Compact and defragment etcd and disarm its NOSPACE alarm: its space quota is used up"],
    ["permission denied", "request", "Give Muster's user in etcd a role that may read and write its whole prefix"],
    ["user name is empty", "user", "Give Muster a user of etcd, or a client certificate: etcd asks who it is"],
    ["invalid user ID or password", "user", "Give Muster a user name and password that etcd knows: it refused them"],
  ];

const STALE_TOKEN = ["invalid auth token", "revision of auth store is old", "revision in header is old"];

/**
 * What etcd refuses before it proposes anything to its peers. "no leader" is such because every call asks for a leader
 * to be known (see HAS_LEADER); "leader changed" and "request timed out" are not: the proposal may be on its way.
 */
const REFUSALS = [
  "etcdserver: no leader",
  "too many requests",
  "not supported for learner",
  "No connection established",
  "Name resolution failed",
];

/** Every call carries it: a member that knows no leader refuses the call at once, and ends a stream. */
export const HAS_LEADER = ["hasleader", "true"] as const;

/** What a call's error means. */
export function failureOf(error: unknown): Failure {
  if (error instanceof NotSent) {
    return { kind: "refused", error: unavailable(error.message, error) };
  }
  if (isMusterError(error)) {
    return { kind: "answer", error };
  }
  return isServiceError(error)
    ? failureOfText(error.details, error)
    : { kind: "unknown", error: new MusterError("internal", `A call to etcd failed: ${error}`, { cause: error }) };
}

/** What a reason that etcd gave in its own words means. */
export function failureOfText(details: string, cause?: ServiceError): Failure {
  const code = ANSWERS.find(([words]) => details.includes(words))?.[1];
  if (code !== undefined) {
    return { kind: "answer", error: new MusterError(code, details, { cause }) };
  }
  const found = COMPLAINTS.find(([words]) => details.includes(words));
  if (found !== undefined) {
    const [words, complaint, advice] = found;
    const error = unavailable(`${advice} ("${details}")`, cause);
    return { kind: "answer", error, complaint, mayBeDone: words === NO_SPACE };
  }
  if (STALE_TOKEN.some((words) => details.includes(words))) {
    return { kind: "token", error: unavailable(details, cause) };
  }
  const kind = REFUSALS.some((words) => details.includes(words)) ? "refused" : "unknown";
  return { kind, error: unavailable(withCode(details, cause), cause) };
}

/** For a call that was not carried out. */
export function unavailable(message: string, cause?: unknown): MusterError {
  return new MusterError("storeUnavailable", message, { cause });
}

/** For a write that was sent, and of which nobody knows whether it was applied. */
export function outcomeUnknown(error: MusterError): MusterError {
  return new MusterError(
    "outcomeUnknown",
    `Look whether the write was applied before you repeat it: etcd gave no answer (${error.message})`,
    { cause: error },
  );
}

/** What a call rejects with whose failure is etcd's own answer. */
export function answered(
  { error, mayBeDone = false }: Failure,
  { isWrite }: { readonly isWrite: boolean },
): MusterError {
  if (!mayBeDone || !isWrite) return error;
  return new MusterError(
    "outcomeUnknown",
    `${error.message}; look whether the write was applied before you repeat it: etcd says so of writes that it applied, too`,
    { cause: error, details: { store: "full" } },
  );
}

/** Whether the call's own time was over. */
export function isDeadline(error: unknown): boolean {
  return isServiceError(error) && error.code === status.DEADLINE_EXCEEDED;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "details" in error && typeof error.details === "string" && "code" in error;
}

/** What broke a connection, without what grpc-js says around it, and without Node.js 24's advice on its own options. */
const CONNECTION_ERROR =
  /Last error: (?:Error: )?(.+?)(?:; if the root CA is installed locally.*?)?\s*(?:\(\d{4}-\d\d-\d\dT[^)]*\))?\.? Resolution note/s;

/**
 * What OpenSSL says broke it, among its number, library, function and place in the source; an alert is the other
 * side's, and what stands before it changes with OpenSSL ("sslv3 alert" in Node.js 20 is "ssl/tls alert" in 24).
 */
const TLS_ERROR = /:SSL routines:[^:]*:(?:[^: ]+ (?=alert ))?([^:]+):/;

function withCode(details: string, cause: ServiceError | undefined): string {
  const broken = CONNECTION_ERROR.exec(details)?.[1];
  if (broken !== undefined) {
    const tls = TLS_ERROR.exec(broken)?.[1];
    return `no connection: ${tls === undefined ? broken : `TLS: ${tls}`}`;
  }
  return cause === undefined ? details : `${status[cause.code] ?? cause.code}: ${details}`;
}
