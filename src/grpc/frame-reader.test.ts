import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keptBytes } from "../../test/support/kept-bytes.ts";
import { FRAME_HEADER_BYTES, FrameReader, onlyMessage } from "./frame-reader.ts";
import { GrpcError } from "./grpc-error.ts";
import { Status } from "./status.ts";

function frame(message: Uint8Array, flag = 0): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function read(chunks: readonly Buffer[], maxMessageBytes = 1_000): { messages: Buffer[]; reader: FrameReader } {
  const reader = new FrameReader({ maxMessageBytes });
  const messages: Buffer[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let message = reader.next(); message !== undefined; message = reader.next()) messages.push(message);
  }
  return { messages, reader };
}

function refusal(chunk: Buffer, maxMessageBytes = 1_000): GrpcError {
  try {
    read([chunk], maxMessageBytes);
  } catch (error) {
    if (error instanceof GrpcError) return error;
    throw error;
  }
  throw new Error("the message was taken");
}

describe("onlyMessage", () => {
  test("onlyMessage: a message that is all that came is given, a part of one or more than one is not", () => {
    const whole = frame(Buffer.from("abc"));
    expect(onlyMessage(whole, 3)).toEqual(Buffer.from("abc"));
    expect(onlyMessage(frame(Buffer.alloc(0)), 3)).toEqual(Buffer.alloc(0));
    for (let bytes = 0; bytes < whole.length; bytes++) expect(onlyMessage(whole.subarray(0, bytes), 3)).toBeUndefined();
    expect(onlyMessage(Buffer.concat([whole, Buffer.alloc(1)]), 3)).toBeUndefined();
    expect(onlyMessage(Buffer.concat([whole, whole]), 3)).toBeUndefined();
  });

  test("onlyMessage: one that is too long or compressed is refused", () => {
    expect(() => onlyMessage(frame(Buffer.alloc(11)), 10)).toThrow("larger than max (11 vs. 10)");
    expect(() => onlyMessage(frame(Buffer.alloc(1), 1), 10)).toThrow("compressed flag set");
  });
});

describe("FrameReader", () => {
  test("FrameReader: messages come out as they went in, however their bytes are cut", () => {
    const message = fc.uint8Array({ maxLength: 40 });
    const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), cuts, (sent, sizes) => {
        const bytes = Buffer.concat(sent.map((one) => frame(one)));
        const chunks: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        const { messages, reader } = read(chunks);
        expect(messages.map((one) => [...one])).toEqual(sent.map((one) => [...one]));
        expect(reader.isWithinMessage).toBe(false);
      }),
    );
  });

  test.each([1, 4, 5, 7])("FrameReader.isWithinMessage: after %d bytes of a message it says so", (bytes) => {
    const { messages, reader } = read([frame(Buffer.from("abcd")).subarray(0, bytes)]);
    expect(messages).toEqual([]);
    expect(reader.isWithinMessage).toBe(true);
  });

  test("FrameReader: a message beyond the limit is refused by its length, before it has come", () => {
    const begun = frame(Buffer.alloc(11)).subarray(0, 5);
    expect(refusal(begun, 10)).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: "grpc: received message larger than max (11 vs. 10)",
    });
    expect(read([frame(Buffer.alloc(10))], 10).messages).toHaveLength(1);
  });

  test("FrameReader: what waits does not keep the memory in which much else came with it", () => {
    const read = Buffer.alloc(64 * 1024);
    const reader = new FrameReader({ maxMessageBytes: 1_000 });
    frame(Buffer.from("abcd")).copy(read);
    reader.push(read.subarray(0, 7));
    expect(reader.next()).toBeUndefined();
    reader.push(read.subarray(7, 8));
    // Nobody looks at what came any more.
    read.fill(9);
    reader.push(Buffer.from("d"));
    expect(reader.next()).toEqual(Buffer.from("abcd"));
  });

  test("FrameReader: a message that comes byte by byte keeps hardly more than its bytes", () => {
    const [count, bytes] = [20, 20_000];
    const message = frame(Buffer.alloc(bytes, 7));
    const readers = Array.from({ length: count }, () => new FrameReader({ maxMessageBytes: bytes }));
    const before = keptBytes();
    for (const reader of readers) {
      for (let at = 0; at < message.length - 1; at++) {
        reader.push(message.subarray(at, at + 1));
        if (reader.next() !== undefined) throw new Error(`a message after ${at + 1} bytes`);
      }
    }
    expect(keptBytes() - before).toBeLessThan(8 * count * bytes);
    for (const reader of readers) {
      reader.push(message.subarray(-1));
      expect(reader.next()).toEqual(message.subarray(FRAME_HEADER_BYTES));
    }
  });

  test("FrameReader: a length of four gibibytes is read as such", () => {
    expect(refusal(Buffer.from([0, 0xff, 0xff, 0xff, 0xff])).message).toContain("(4294967295 vs. 1000)");
  });

  test("FrameReader: a compressed message is refused in grpc-go's words", () => {
    expect(refusal(frame(Buffer.from("a"), 1))).toMatchObject({
      code: Status.INTERNAL,
      message: "grpc: compressed flag set with identity or empty encoding",
    });
    expect(refusal(frame(Buffer.from("a"), 7))).toMatchObject({
      code: Status.INTERNAL,
      message: "grpc: received unexpected payload format 7",
    });
  });
});
