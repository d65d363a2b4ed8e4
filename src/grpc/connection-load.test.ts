import { once } from "node:events";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { afterEach, describe, expect, test } from "vitest";
import { deferred } from "../../test/support/deferred.ts";
import { callHeaders, type GrpcStage, startGrpcStage } from "../../test/support/grpc-stage.ts";
import { MAX_CONNECTION_KEPT_BYTES, UNCOUNTED_CALL_BYTES } from "../base/limits.ts";
import { KVDefinition } from "../proto/etcdserverpb.ts";
import { EncodedMessage } from "./call.ts";
import { CallLoad } from "./connection-load.ts";
import { definePartOfService } from "./service.ts";

const PATH = "/etcdserverpb.KV/Put";
const RESOURCE_EXHAUSTED = "8";
const MEBIBYTE = Buffer.alloc(1024 * 1024);
/** Two of them are more than one connection may leave unread. */
const LARGE = new EncodedMessage(Array.from({ length: MAX_CONNECTION_KEPT_BYTES / MEBIBYTE.length }, () => MEBIBYTE));

let stage: GrpcStage | undefined;
afterEach(async () => {
  await stage?.[Symbol.asyncDispose]();
  stage = undefined;
});

/** Gives all answers once `calls` have begun. */
async function serve(calls: number): Promise<GrpcStage> {
  const begun = deferred<void>();
  let count = 0;
  const put = () => {
    if (++count === calls) begun.resolve();
    return begun.promise.then(() => LARGE);
  };
  stage = await startGrpcStage([definePartOfService(KVDefinition, { put })]);
  return stage;
}

function begin(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request(callHeaders(PATH));
  stream.on("error", () => undefined);
  return stream;
}

/** Begins a call whose answer nobody reads; resolves with the status that it was refused with, if it was. */
async function askAndNotRead(session: ClientHttp2Session): Promise<unknown> {
  const stream = begin(session);
  const answered = once(stream, "response");
  stream.end(Buffer.alloc(5));
  const [headers] = await answered;
  return headers["grpc-status"];
}

describe("CallLoad: what the calls of a connection keep together", () => {
  test("a call alone may keep any amount, others then only little, until it keeps less", () => {
    const connection = {};
    const [one, other] = [new CallLoad(connection), new CallLoad(connection)];
    one.set(2 * MAX_CONNECTION_KEPT_BYTES);
    other.set(UNCOUNTED_CALL_BYTES);
    expect(() => other.set(UNCOUNTED_CALL_BYTES + 1)).toThrow(/^Read answers and finish requests/);
    one.set(0);
    other.set(UNCOUNTED_CALL_BYTES + 1);
    expect(() => one.add(MAX_CONNECTION_KEPT_BYTES)).toThrow(/^Read answers and finish requests/);
  });
});

describe("CallLoad: answers that a client does not read", () => {
  test("one of any size is given, a further one on the connection is refused", async () => {
    const { session } = await serve(2);
    const connection = session();
    const [first, second] = await Promise.all([askAndNotRead(connection), askAndNotRead(connection)]);
    expect([first, second]).toEqual([undefined, RESOURCE_EXHAUSTED]);
  });

  test("connections are counted each for itself", async () => {
    const { session } = await serve(2);
    const [first, second] = await Promise.all([askAndNotRead(session()), askAndNotRead(session())]);
    expect([first, second]).toEqual([undefined, undefined]);
  });
});

describe("CallLoad: requests that do not end", () => {
  test("beyond what one connection may make the server keep they are refused", async () => {
    const { session } = await serve(1);
    const connection = session();
    const unfinished = Buffer.alloc(4 * MEBIBYTE.length);
    unfinished.writeUInt32BE(unfinished.length, 1);
    const most = MAX_CONNECTION_KEPT_BYTES / unfinished.length;
    const refused = new Promise<unknown>((resolve) => {
      for (let count = 0; count <= most; count++) {
        const stream = begin(connection);
        stream.on("response", (headers) => resolve(headers["grpc-status"]));
        stream.write(unfinished);
      }
    });
    expect(await refused).toBe(RESOURCE_EXHAUSTED);
  });
});
