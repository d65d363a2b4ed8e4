/**
 * What v3 clients are told on the public listener. An etcd that boots ends for good on few answers and tries again on
 * others: PERMISSION_DENIED says that the request itself will not do, whatever is no fault of its own is UNAVAILABLE.
 */
import { type Bytes, text } from "../../base/bytes.ts";
import { type ErrorCode, isMusterError } from "../../base/errors.ts";
import { MAX_PUBLIC_STREAM_WATCHES } from "../../base/limits.ts";
import { type Log, shortToken } from "../../base/log.ts";
import type { Token } from "../../domain/registry/token.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { Status } from "../../grpc/status.ts";

/** What is wrong with a request that came here: it would be refused however often it is tried. */
const REQUEST_ERRORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "invalidArgument",
  "invalidField",
  "keyTooLong",
  "tooLarge",
  "readOnly",
  "notFile",
  "notDirectory",
]);

/** A request that no discovery sends. */
export function noDiscovery(): GrpcError {
  return denied("this address answers etcd's discovery only, see the client listener");
}

/** A request about a key that no discovery asks for. */
export function noDiscoveryKey(key: Bytes): GrpcError {
  const isWholeUrl = URL_AS_TOKEN.test(text(key));
  return isWholeUrl ? denied("the token is the last part of the URL that /new gives, not all of it") : noDiscovery();
}

/** What etcd makes of a whole URL that it is given as --discovery-token. */
const URL_AS_TOKEN = /^\/_etcd\/registry\/https?:\//;

/** A token that is not there, or whose time is over. */
export function noToken(token: Token): GrpcError {
  return denied(`there is no token "${shortToken(token)}": make one with /new`);
}

function denied(why: string): GrpcError {
  return new GrpcError(Status.PERMISSION_DENIED, `etcdserver: permission denied: ${why}`);
}

/** A stream on which more was watched, one after the other, than any discovery does. */
export function tooManyWatches(): GrpcError {
  const words = `Watch again on another stream: this address takes ${MAX_PUBLIC_STREAM_WATCHES} watches on one`;
  return new GrpcError(Status.UNAVAILABLE, words);
}

/** What a client is told of an error; what is a defect goes to the log. */
export function toPublicError(error: unknown, log: Log): GrpcError {
  if (error instanceof GrpcError) return error;
  if (isMusterError(error) && REQUEST_ERRORS.has(error.code)) {
    return denied(error.message);
  }
  if (!isMusterError(error) || error.code === "internal") log.error({ err: error }, "a v3 discovery request failed");
  const words = isMusterError(error) ? error.message : "Report this defect of Muster: the log has it";
  return new GrpcError(Status.UNAVAILABLE, words);
}
