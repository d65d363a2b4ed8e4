import { describe, expect, test } from "vitest";
import { PutRequest } from "../proto/etcdserverpb.ts";
import { EncodedMessage } from "./call.ts";
import { FrameReader } from "./frame-reader.ts";
import { framesOf } from "./frame-writer.ts";

function messageOf(frames: readonly Uint8Array[]): Buffer | undefined {
  const reader = new FrameReader({ maxMessageBytes: 2 ** 30 });
  reader.push(Buffer.concat(frames));
  const message = reader.next();
  expect(reader.isWithinMessage).toBe(false);
  return message;
}

describe("framesOf", () => {
  test.each([0, 1, 127, 128, 70_000, 1_000_000])("framesOf: a value of %d bytes reads back as it was", (length) => {
    const request = PutRequest.fromPartial({ key: Buffer.from("k"), value: Buffer.alloc(length, 7), lease: 2n ** 62n });
    const message = messageOf(framesOf(request, PutRequest));
    expect(message?.equals(PutRequest.encode(request).finish())).toBe(true);
  });

  test("framesOf: messages made one after the other do not share their bytes", () => {
    const one = framesOf(PutRequest.fromPartial({ key: Buffer.from("one") }), PutRequest);
    const two = framesOf(PutRequest.fromPartial({ key: Buffer.from("two") }), PutRequest);
    expect(Buffer.from(PutRequest.decode(messageOf(one) ?? Buffer.alloc(0)).key).toString()).toBe("one");
    expect(Buffer.from(PutRequest.decode(messageOf(two) ?? Buffer.alloc(0)).key).toString()).toBe("two");
  });

  test("framesOf: a message that cannot be encoded leaves nothing in the next one", () => {
    const tooLarge = PutRequest.fromPartial({ key: Buffer.from("left over"), lease: 2n ** 63n });
    expect(() => framesOf(tooLarge, PutRequest)).toThrow(/too large/);
    const next = framesOf(PutRequest.fromPartial({ key: Buffer.from("next") }), PutRequest);
    expect(messageOf(next)?.toString("latin1")).toBe("\n\x04next");
  });

  test.each([10, 100_000])("framesOf: pieces of %d bytes that are encoded already are one message", (length) => {
    const pieces = [Buffer.alloc(length, "a"), Buffer.alloc(3, "b"), Buffer.alloc(length, "c")];
    expect(messageOf(framesOf(new EncodedMessage(pieces), PutRequest))?.equals(Buffer.concat(pieces))).toBe(true);
  });

  test("framesOf: a message without a byte is a frame", () => {
    expect(messageOf(framesOf(new EncodedMessage([]), PutRequest))).toEqual(Buffer.alloc(0));
    expect(messageOf(framesOf(PutRequest.create(), PutRequest))).toEqual(Buffer.alloc(0));
  });
});
