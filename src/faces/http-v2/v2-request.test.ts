import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { parsePath } from "../../domain/tree/tree-path.ts";
import type { Exchange } from "../face.ts";
import { readV2Request, type V2Request } from "./v2-request.ts";

const NOW = 1_700_000_000_000;
const PATH = parsePath("/k");
const clock = { now: () => NOW, monotonic: () => 0 };

async function read(method: string, query: string): Promise<V2Request> {
  const request = new IncomingMessage(new Socket());
  request.method = method;
  const exchange: Exchange = {
    request,
    response: new ServerResponse(request),
    peer: { address: "", host: undefined, scheme: "http", connection: {} },
    path: "/k",
    query,
    signal: new AbortController().signal,
    hold: () => undefined,
  };
  return readV2Request(exchange, PATH, { clock });
}

async function commandOf(method: string, query: string): Promise<unknown> {
  const asked = await read(method, query);
  return asked.kind === "write" ? asked.command : asked;
}

describe("readV2Request", () => {
  it.each([
    ["PUT", "value=x", "set"],
    ["PUT", "dir=true", "set"],
    ["PUT", "value=x&prevExist=false&prevIndex=3&prevValue=y", "create"],
    ["PUT", "value=x&prevExist=true", "update"],
    ["PUT", "value=x&prevExist=true&prevIndex=3", "compareAndSwap"],
    ["PUT", "value=x&prevValue=y", "compareAndSwap"],
    ["PUT", "value=x&prevIndex=0", "set"],
    ["POST", "value=x&prevExist=true", "createInOrder"],
    ["DELETE", "", "delete"],
    ["DELETE", "prevValue=y", "compareAndDelete"],
  ])("takes %s with %j for %s", async (method, query, kind) => {
    expect(await commandOf(method, query)).toMatchObject({ kind, path: PATH });
  });

  it("reads a wait with its index, and a get", async () => {
    expect(await read("GET", "wait=true&waitIndex=7&recursive=1&stream=t")).toEqual({
      kind: "wait",
      path: PATH,
      recursive: true,
      stream: true,
      waitIndex: 7,
    });
    expect(await read("HEAD", "sorted=T")).toEqual({ kind: "get", path: PATH, recursive: false, sorted: true });
  });

  it("counts a time to live from now, and none that is empty", async () => {
    expect(await commandOf("PUT", "ttl=5")).toMatchObject({ expiry: { kind: "at", expires: NOW + 5000 } });
    expect(await commandOf("PUT", "ttl=")).toMatchObject({ expiry: { kind: "never" } });
    expect(await commandOf("PUT", "ttl=18446744073709551615")).toMatchObject({ expiry: { expires: 253402300799999 } });
  });

  it("keeps a prevIndex of 64 bits exact", async () => {
    expect(await commandOf("PUT", "prevIndex=18446744073709551615")).toMatchObject({
      condition: { prevIndex: 18446744073709551615n },
    });
  });

  it.each([
    ["PUT", "prevIndex=x&ttl=x", 203, 'invalid value for "prevIndex"'],
    ["GET", "waitIndex=-1", 203, 'invalid value for "waitIndex"'],
    ["GET", "recursive=yes", 209, 'invalid value for "recursive"'],
    ["PUT", "wait=true", 209, '"wait" can only be used with GET requests'],
    ["PUT", "prevValue=", 201, '"prevValue" cannot be empty'],
    ["PUT", "ttl=1.5&prevExist=x", 202, 'invalid value for "ttl"'],
    ["PUT", "prevExist=x", 209, "invalid value for prevExist"],
    ["PUT", "refresh=x", 209, "invalid value for refresh"],
    ["PUT", "refresh=true&value=x&ttl=1", 211, "A value was provided on a refresh"],
    ["PUT", "refresh=true", 212, "No TTL value set"],
  ])("refuses %s with %j by code %d", async (...row) => {
    const [method, query, v2Code, cause] = row;
    await expect(read(method, query)).rejects.toMatchObject({ code: "invalidField", details: { v2Code, cause } });
  });
});
