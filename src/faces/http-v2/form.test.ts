import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { walkMs } from "../../../test/support/walk-time.ts";
import { text, utf8 } from "../../base/bytes.ts";
import { MAX_FORM_FIELDS, V2_BODY_BYTES } from "../../base/limits.ts";
import type { Exchange } from "../face.ts";
import { type Form, readForm, unescapeBytes } from "./form.ts";

/** Many times what a plain walk over as many bytes takes. */
const SOON_WALKS = 20;

describe("readForm, given semicolons", () => {
  it.each([{ query: "a=1;b=2" }, { body: "value=a;b" }, { body: "x=%zz&;" }])(
    "refuses a bare semicolon: %j",
    async (parts) => {
      await expect(read(parts)).rejects.toThrow("invalid semicolon separator in query");
    },
  );

  it("takes a semicolon that is escaped", async () => {
    expect((await read({ body: "value=a%3Bb" })).first("value")).toBe("a;b");
  });
});

describe("unescapeBytes", () => {
  it("undoes what encodeURIComponent does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (plain) => {
        expect(text(unescapeBytes(utf8(encodeURIComponent(plain))))).toBe(plain);
      }),
    );
  });

  it("takes + for a space, where it means one", () => {
    expect(text(unescapeBytes(utf8("a+b%2B")))).toBe("a b+");
    expect(text(unescapeBytes(utf8("a+b"), { plusIsSpace: false }))).toBe("a+b");
  });

  it("keeps bytes that are no UTF-8", () => {
    expect([...unescapeBytes(utf8("%ff%fE"))]).toEqual([0xff, 0xfe]);
  });

  it.each(["%", "%4", "%zz", "a%4g"])("refuses %j", (encoded) => {
    expect(() => unescapeBytes(utf8(encoded))).toThrow(/invalid URL escape/);
  });
});

/** `arrived`: all of the body had come, and was kept, before anybody read it. */
async function read(parts: {
  readonly query?: string;
  readonly body?: string;
  readonly arrived?: boolean;
  readonly maxBodyBytes?: number;
}): Promise<Form> {
  const request = new IncomingMessage(new Socket());
  request.method = "PUT";
  request.headers["content-type"] = "application/x-www-form-urlencoded";
  request.push(parts.body ?? "");
  request.push(null);
  request.complete = parts.arrived ?? false;
  const exchange: Exchange = {
    request,
    response: new ServerResponse(request),
    peer: { address: "", host: undefined, scheme: "http", connection: {} },
    path: "/k",
    query: parts.query ?? "",
    signal: new AbortController().signal,
    hold: () => undefined,
    ...(parts.maxBodyBytes === undefined ? {} : { maxBodyBytes: parts.maxBodyBytes }),
  };
  return readForm(exchange);
}

describe("readForm", () => {
  it("the body goes before the query, the first of a repeated field before the others", async () => {
    const form = await read({ body: "&a=1&a=2&%62=3", query: "a=4&c" });
    expect(["a", "b", "c", "d"].map((name) => form.first(name))).toEqual(["1", "3", "", undefined]);
  });

  it.each([false, true])("reads a body of any content, and none, when all of it has arrived: %j", async (arrived) => {
    const form = await read({ body: "value=a+%25b&dir", query: "ttl=5", arrived });
    expect(["value", "dir", "ttl"].map((name) => form.first(name))).toEqual(["a %b", "", "5"]);
    expect((await read({ body: "", query: "a=1", arrived })).first("a")).toBe("1");
    const most = `value=${"v".repeat(10)}`;
    expect((await read({ body: most, arrived, maxBodyBytes: most.length })).first("value")).toHaveLength(10);
    const reading = read({ body: most, arrived, maxBodyBytes: most.length - 1 });
    await expect(reading).rejects.toMatchObject({ code: "tooLarge" });
  });

  it("takes many fields and refuses more, empty ones too", async () => {
    const most = "x&".repeat(MAX_FORM_FIELDS - 1);
    expect((await read({ body: `${most}value=1` })).first("value")).toBe("1");
    const refused = { code: "invalidField", details: { v2Code: 210, cause: "there are more than 1000 fields" } };
    await expect(read({ body: `${most}x&value=1` })).rejects.toMatchObject(refused);
    await expect(read({ query: `${most}x&value=1` })).rejects.toMatchObject(refused);
    await expect(read({ body: "&".repeat(MAX_FORM_FIELDS + 1) })).rejects.toMatchObject(refused);
  });

  it.each([
    ["distinct fields", Array.from({ length: 300_000 }, (_none, place) => place.toString(36)).join("&")],
    ["separators", "&".repeat(V2_BODY_BYTES)],
  ])("is soon done with the largest body of %s", async (_what, body) => {
    let leastMs = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 5; run++) {
      const begun = performance.now();
      await expect(read({ body })).rejects.toThrow();
      leastMs = Math.min(leastMs, performance.now() - begun);
    }
    expect(leastMs).toBeLessThan(SOON_WALKS * walkMs());
  });
});
