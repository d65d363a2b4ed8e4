import { expect, test } from "vitest";
import { MusterError } from "../../base/errors.ts";
import { toV2Error } from "./v2-errors.ts";

test.each(["storeUnavailable", "outcomeUnknown", "contention", "closed"] as const)(
  "toV2Error: %s is for now, in its own words: a node that boots takes anything else as the end",
  (code) => {
    expect(toV2Error(new MusterError(code, "wait for the etcd"))).toEqual({
      status: 503,
      errorCode: 300,
      message: "Raft Internal Error",
      cause: "wait for the etcd",
      index: 0,
    });
  },
);
