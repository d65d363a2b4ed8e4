import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameSplitter } from "./frame-splitter.ts";
import { FRAME_HEAD_BYTES, type Frame, PREFACE, writeFrame } from "./frames.ts";
import { ConnectionError } from "./http2-error.ts";
import { ErrorCode } from "./server-stream.ts";

const MAX_FRAME_BYTES = 100;

const frames = fc.array(
  fc.record({
    type: fc.integer({ min: 0, max: 255 }),
    flags: fc.integer({ min: 0, max: 255 }),
    streamId: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    payload: fc.uint8Array({ maxLength: MAX_FRAME_BYTES }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 30, size: "max" },
);

function bytesOf(frame: Frame): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + frame.payload.length);
  writeFrame(bytes, 0, frame);
  return bytes;
}

function splitter(taken: Frame[]): FrameSplitter {
  return new FrameSplitter(
    { isOver: false, takeFrame: (next) => void taken.push(next) },
    { maxFrameBytes: MAX_FRAME_BYTES },
  );
}

test("gives the same frames however the bytes are cut", () => {
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (sent, cuts) => {
      const bytes = Buffer.concat([PREFACE, ...sent.map(bytesOf)]);
      const taken: Frame[] = [];
      const split = splitter(taken);
      for (let at = 0; at < bytes.length; ) {
        const [length = 1] = [...cuts.take(1)];
        split.push(bytes.subarray(at, at + length));
        at += length;
      }
      expect(taken).toEqual(sent);
    }),
  );
});

test("what was given is not overwritten by what comes after it", () => {
  const taken: Frame[] = [];
  const split = splitter(taken);
  split.push(PREFACE);
  for (const text of ["first", "second"]) {
    for (const byte of bytesOf({ type: 0, flags: 0, streamId: 1, payload: Buffer.from(text) }))
      split.push(Buffer.of(byte));
  }
  expect(taken.map(({ payload }) => payload.toString())).toEqual(["first", "second"]);
});

test("refuses what is no HTTP/2, and frames that are too long before they are there", () => {
  expect(() => splitter([]).push(Buffer.from("PRI * HTTP/1.1\r\n"))).toThrow(/preface/);
  const split = splitter([]);
  split.push(PREFACE);
  const long = bytesOf({ type: 0, flags: 0, streamId: 1, payload: Buffer.alloc(MAX_FRAME_BYTES + 1) }).subarray(0, 9);
  expect(() => split.push(long)).toThrow(
    expect.toSatisfy((error) => error instanceof ConnectionError && error.code === ErrorCode.FRAME_SIZE_ERROR),
  );
});

test("gives no frame any more once its taker wants none", () => {
  const taken: Frame[] = [];
  const taker = {
    isOver: false,
    takeFrame(next: Frame) {
      taken.push(next);
      taker.isOver = true;
    },
  };
  const one = bytesOf({ type: 6, flags: 0, streamId: 0, payload: Buffer.alloc(8) });
  new FrameSplitter(taker, { maxFrameBytes: MAX_FRAME_BYTES }).push(Buffer.concat([PREFACE, one, one]));
  expect(taken).toHaveLength(1);
});
