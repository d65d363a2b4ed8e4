/** What etcd says is wrong, in its own words: its clients tell errors by code and words (api/v3/v3rpc/rpctypes/error.go). */
import type { ErrorCode, MusterError } from "../../base/errors.ts";
import { isMusterError } from "../../base/errors.ts";
import { authRefusalOf } from "../../domain/auth/auth-refusals.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { Status } from "../../grpc/status.ts";

/** An error of etcd's; `words` absent: the message of the error that was thrown. */
interface EtcdError {
  readonly status: Status;
  readonly words?: string;
}

/** etcd's errors, as far as Muster has them. */
export const ETCD_ERRORS = {
  emptyKey: { status: Status.INVALID_ARGUMENT, words: "etcdserver: key is not provided" },
  keyNotFound: { status: Status.INVALID_ARGUMENT, words: "etcdserver: key not found" },
  valueProvided: { status: Status.INVALID_ARGUMENT, words: "etcdserver: value is provided" },
  leaseProvided: { status: Status.INVALID_ARGUMENT, words: "etcdserver: lease is provided" },
  tooManyOps: { status: Status.INVALID_ARGUMENT, words: "etcdserver: too many operations in txn request" },
  duplicateKey: { status: Status.INVALID_ARGUMENT, words: "etcdserver: duplicate key given in txn request" },
  invalidSortOption: { status: Status.INVALID_ARGUMENT, words: "etcdserver: invalid sort option" },
  compacted: { status: Status.OUT_OF_RANGE, words: "etcdserver: mvcc: required revision has been compacted" },
  futureRev: { status: Status.OUT_OF_RANGE, words: "etcdserver: mvcc: required revision is a future revision" },
  requestTooLarge: { status: Status.INVALID_ARGUMENT, words: "etcdserver: request is too large" },
  leaseNotFound: { status: Status.NOT_FOUND, words: "etcdserver: requested lease not found" },
  leaseExist: { status: Status.FAILED_PRECONDITION, words: "etcdserver: lease already exists" },
  leaseTtlTooLarge: { status: Status.OUT_OF_RANGE, words: "etcdserver: too large lease TTL" },
  memberBadUrls: { status: Status.INVALID_ARGUMENT, words: "etcdserver: given member URLs are invalid" },
  memberNotFound: { status: Status.NOT_FOUND, words: "etcdserver: member not found" },
  memberNotLearner: { status: Status.FAILED_PRECONDITION, words: "etcdserver: can only promote a learner member" },
  rootUserNotExist: { status: Status.FAILED_PRECONDITION, words: "etcdserver: root user does not exist" },
  rootRoleNotExist: {
    status: Status.FAILED_PRECONDITION,
    words: "etcdserver: root user does not have root role",
  },
  userAlreadyExist: { status: Status.FAILED_PRECONDITION, words: "etcdserver: user name already exists" },
  userEmpty: { status: Status.INVALID_ARGUMENT, words: "etcdserver: user name is empty" },
  userNotFound: { status: Status.FAILED_PRECONDITION, words: "etcdserver: user name not found" },
  // etcd has no code of its own for what is wrong with a password.
  noPasswordUser: {
    status: Status.UNKNOWN,
    words: "auth: authentication failed, password was given for no password user",
  },
  passwordTooLong: { status: Status.UNKNOWN, words: "bcrypt: password length exceeds 72 bytes" },
  roleAlreadyExist: { status: Status.FAILED_PRECONDITION, words: "etcdserver: role name already exists" },
  roleEmpty: { status: Status.INVALID_ARGUMENT, words: "etcdserver: role name is empty" },
  roleNotFound: { status: Status.FAILED_PRECONDITION, words: "etcdserver: role name not found" },
  roleNotGranted: { status: Status.FAILED_PRECONDITION, words: "etcdserver: role is not granted to the user" },
  permissionNotGiven: { status: Status.INVALID_ARGUMENT, words: "etcdserver: permission not given" },
  permissionNotGranted: {
    status: Status.FAILED_PRECONDITION,
    words: "etcdserver: permission is not granted to the role",
  },
  invalidAuthMgmt: { status: Status.INVALID_ARGUMENT, words: "etcdserver: invalid auth management" },
  permissionDenied: { status: Status.PERMISSION_DENIED, words: "etcdserver: permission denied" },
  authNotEnabled: { status: Status.FAILED_PRECONDITION, words: "etcdserver: authentication is not enabled" },
  noSpace: { status: Status.RESOURCE_EXHAUSTED, words: "etcdserver: mvcc: database space exceeded" },
  tooManyRequests: { status: Status.RESOURCE_EXHAUSTED, words: "etcdserver: too many requests" },
  badLeaderTransferee: { status: Status.FAILED_PRECONDITION, words: "etcdserver: bad leader transferee" },
  invalidDowngradeTarget: { status: Status.INVALID_ARGUMENT, words: "etcdserver: invalid downgrade target version" },
  noInflightDowngrade: { status: Status.FAILED_PRECONDITION, words: "etcdserver: no inflight downgrade job" },
  stopped: { status: Status.UNAVAILABLE, words: "etcdserver: server stopped" },
  timeout: { status: Status.UNAVAILABLE, words: "etcdserver: request timed out" },
} as const satisfies Record<string, EtcdError>;

/** The error to throw for one of etcd's. */
export function etcdError(name: keyof typeof ETCD_ERRORS): GrpcError {
  const { status, words } = ETCD_ERRORS[name];
  return new GrpcError(status, words);
}

const BY_CODE = {
  invalidArgument: { status: Status.INVALID_ARGUMENT },
  keyTooLong: { status: Status.INVALID_ARGUMENT },
  tooLarge: ETCD_ERRORS.requestTooLarge,
  duplicateKey: ETCD_ERRORS.duplicateKey,
  tooManyOperations: ETCD_ERRORS.tooManyOps,
  compacted: ETCD_ERRORS.compacted,
  futureRevision: ETCD_ERRORS.futureRev,
  keyNotFound: ETCD_ERRORS.keyNotFound,
  leaseNotFound: ETCD_ERRORS.leaseNotFound,
  leaseExists: ETCD_ERRORS.leaseExist,
  leaseTtlTooLarge: ETCD_ERRORS.leaseTtlTooLarge,
  // etcd's clients go on trying, and those that form a cluster wait: as with a member that cannot serve.
  storeUnavailable: { status: Status.UNAVAILABLE },
  // By these words they know that it may have been applied all the same.
  outcomeUnknown: ETCD_ERRORS.timeout,
  sharedStore: { status: Status.PERMISSION_DENIED },
  authRefused: { status: Status.FAILED_PRECONDITION },
  contention: { status: Status.UNAVAILABLE },
  closed: ETCD_ERRORS.stopped,
  nodeNotFound: { status: Status.NOT_FOUND },
  compareFailed: { status: Status.FAILED_PRECONDITION },
  notFile: { status: Status.FAILED_PRECONDITION },
  notDirectory: { status: Status.FAILED_PRECONDITION },
  nodeExists: { status: Status.ALREADY_EXISTS },
  readOnly: { status: Status.PERMISSION_DENIED },
  directoryNotEmpty: { status: Status.FAILED_PRECONDITION },
  eventIndexCleared: { status: Status.OUT_OF_RANGE },
  invalidField: { status: Status.INVALID_ARGUMENT },
  directoryInUse: { status: Status.INTERNAL },
  directoryCorrupt: { status: Status.INTERNAL },
  directoryTooNew: { status: Status.INTERNAL },
  configInvalid: { status: Status.INTERNAL },
  addressInUse: { status: Status.INTERNAL },
  internal: { status: Status.INTERNAL },
} as const satisfies Record<ErrorCode, EtcdError>;

/** What a client is told of an error that a handler threw. What is no MusterError is a defect: INTERNAL, without its words. */
export function toGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  if (!isMusterError(error))
    return new GrpcError(Status.INTERNAL, "Report this defect of Muster: the log has it", { cause: error });
  const refusal = authRefusalOf(error);
  const told: EtcdError = refusal === undefined ? byCode(error) : ETCD_ERRORS[refusal];
  return new GrpcError(told.status, told.words ?? error.message, { cause: error });
}

/** An etcd that is full says so of writes that it refused and of writes that it applied: its clients know these words, too. */
function byCode({ code, details }: MusterError): EtcdError {
  return code === "outcomeUnknown" && details.store === "full" ? ETCD_ERRORS.noSpace : BY_CODE[code];
}
