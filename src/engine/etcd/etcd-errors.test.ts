import { describe, expect, it } from "vitest";
import { answered, failureOfText } from "./etcd-errors.ts";

/** As grpc-js words a connection that could not be made, around what OpenSSL said. */
const unconnected = (openssl: string) =>
  `No connection established. Last error: 408D4293C37F0000:error:0A000412:SSL routines:${openssl}:../deps/openssl/x.c:918:SSL alert number 42\n (2026-11-21T20:50:31.204Z). Resolution note: `;

describe("what a connection to etcd broke on", () => {
  it.each([
    ["Node.js 20", "ssl3_read_bytes:sslv3 alert bad certificate", "alert bad certificate"],
    ["Node.js 24", "ssl3_read_bytes:ssl/tls alert bad certificate", "alert bad certificate"],
    ["TLS 1.3", "ssl3_read_bytes:tlsv13 alert certificate required", "alert certificate required"],
    ["no alert", "tls_post_process:certificate verify failed", "certificate verify failed"],
  ])("is said in OpenSSL's words alone (%s)", (_, openssl, words) => {
    expect(failureOfText(unconnected(openssl))).toMatchObject({
      kind: "refused",
      error: { code: "storeUnavailable", message: `no connection: TLS: ${words}` },
    });
  });

  it.each([
    ["Node.js 20", ""],
    ["Node.js 24", "; if the root CA is installed locally, try running Node.js with --use-system-ca"],
  ])("is said without advice on Node.js's own options (%s)", (_, advice) => {
    const reason = "unable to verify the first certificate";
    const details = `No connection established. Last error: Error: ${reason}${advice}. Resolution note: `;
    expect(failureOfText(details).error.message).toBe(`no connection: ${reason}`);
  });
});

describe("an etcd that is full", () => {
  const failure = failureOfText("etcdserver: mvcc: database space exceeded");
  const advice =
    /^Compact and defragment etcd and disarm its NOSPACE alarm: .*"etcdserver: mvcc: database space exceeded"/;

  it("may have applied the write of which it says so", () => {
    expect(failure).toMatchObject({ kind: "answer", complaint: "request" });
    const error = answered(failure, { isWrite: true });
    expect(error).toMatchObject({ code: "outcomeUnknown", message: expect.stringMatching(advice) });
    expect(error.message).toContain("look whether the write was applied");
  });

  it("has done nothing where it was only asked", () => {
    const error = answered(failure, { isWrite: false });
    expect(error).toMatchObject({ code: "storeUnavailable", message: expect.stringMatching(advice) });
  });

  it("is the only answer that leaves a write's outcome open", () => {
    const denied = failureOfText("etcdserver: permission denied");
    expect(answered(denied, { isWrite: true })).toMatchObject({ code: "storeUnavailable" });
  });
});
