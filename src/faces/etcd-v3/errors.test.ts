import { expect, it } from "vitest";
import { ERROR_CODES, MusterError } from "../../base/errors.ts";
import { GrpcError } from "../../grpc/grpc-error.ts";
import { Status } from "../../grpc/status.ts";
import { etcdError, toGrpcError } from "./errors.ts";

it("toGrpcError: tells what etcd has in etcd's words, and else what the error says", () => {
  const told = (code: (typeof ERROR_CODES)[number]) => {
    const { code: status, message } = toGrpcError(new MusterError(code, "do this"));
    return `${status} ${message}`;
  };
  expect(told("compacted")).toBe("11 etcdserver: mvcc: required revision has been compacted");
  expect(told("futureRevision")).toBe("11 etcdserver: mvcc: required revision is a future revision");
  expect(told("duplicateKey")).toBe("3 etcdserver: duplicate key given in txn request");
  expect(told("leaseNotFound")).toBe("5 etcdserver: requested lease not found");
  expect(told("closed")).toBe("14 etcdserver: server stopped");
  expect(told("storeUnavailable")).toBe("14 do this");
  expect(told("outcomeUnknown")).toBe("14 etcdserver: request timed out");
  expect(told("sharedStore")).toBe("7 do this");
  expect(told("invalidArgument")).toBe("3 do this");
});

it("toGrpcError: tells that the store is full of a write that it may have applied all the same", () => {
  const error = new MusterError("outcomeUnknown", "do this", { details: { store: "full" } });
  expect(toGrpcError(error)).toMatchObject({
    code: Status.RESOURCE_EXHAUSTED,
    message: "etcdserver: mvcc: database space exceeded",
  });
});

it("toGrpcError: tells every error with a status that is no success, and keeps what it was", () => {
  for (const code of ERROR_CODES) {
    const cause = new MusterError(code, "do this");
    const error = toGrpcError(cause);
    expect(error.code).not.toBe(Status.OK);
    expect(error.cause).toBe(cause);
  }
});

it("toGrpcError: tells nothing of a defect but that it is one", () => {
  const cause = new TypeError("secret");
  expect(toGrpcError(cause)).toMatchObject({ code: Status.INTERNAL, cause });
  expect(toGrpcError(cause).message).not.toContain("secret");
});

it("toGrpcError: leaves a gRPC error as it is", () => {
  const error = etcdError("emptyKey");
  expect(toGrpcError(error)).toBe(error);
  expect(error).toBeInstanceOf(GrpcError);
});
