import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageWriter } from "./message-writer.ts";

/** One call of a writer, or a message within the message. */
type Step =
  | { readonly kind: "uint32" | "int32"; readonly value: number }
  | { readonly kind: "int64" | "uint64"; readonly value: number | bigint }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "bytes" | "raw"; readonly value: Uint8Array }
  | { readonly kind: "message"; readonly value: readonly Step[] };

/** Up to the largest number below 2^63 (2^53 is the first that is not safe). */
const unsafe = fc.oneof(fc.constant(2 ** 53), fc.bigInt(2n ** 53n, 2n ** 63n - 1024n).map(Number));
const wholes = fc.oneof(fc.maxSafeNat(), fc.nat(), fc.nat(300), unsafe);
const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ size: "max", maxLength: 20_000 }));
const { program } = fc.letrec<{ program: readonly Step[] }>((tie) => ({
  program: fc.array(
    fc.oneof(
      { maxDepth: 4 },
      fc.record({ kind: fc.constant("uint32"), value: fc.nat(2 ** 32 - 1) }),
      fc.record({ kind: fc.constant("int32"), value: fc.integer() }),
      fc.record({
        kind: fc.constant("int64"),
        value: fc.oneof(
          fc.maxSafeInteger(),
          unsafe,
          unsafe.map((value) => -value),
          fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        ),
      }),
      fc.record({ kind: fc.constant("uint64"), value: fc.oneof(wholes, fc.bigInt(0n, 2n ** 64n - 1n)) }),
      fc.record({ kind: fc.constant("bool"), value: fc.boolean() }),
      fc.record({ kind: fc.constant("string"), value: fc.string({ unit: "binary", maxLength: 200 }) }),
      fc.record({ kind: fc.constantFrom("bytes", "raw"), value: bytes }),
      fc.record({ kind: fc.constant("message"), value: tie("program") }),
    ),
    { maxLength: 12 },
  ),
}));

/** Carries the steps out on either writer. */
function write(writer: MessageWriter | BinaryWriter, steps: readonly Step[]): void {
  for (const step of steps) {
    switch (step.kind) {
      case "message":
        writer.fork();
        write(writer, step.value);
        writer.join();
        break;
      case "int64":
      case "uint64":
        writer[step.kind](step.value);
        break;
      case "uint32":
      case "int32":
        writer[step.kind](step.value);
        break;
      case "bytes":
      case "raw":
        writer[step.kind](step.value);
        break;
      case "bool":
        writer.bool(step.value);
        break;
      case "string":
        writer.string(step.value);
    }
  }
}

describe("MessageWriter", () => {
  test("any message comes as the library's writer has it, from a new writer and from one that wrote others", () => {
    const grown = new MessageWriter();
    fc.assert(
      fc.property(program, (steps) => {
        const theirs = new BinaryWriter();
        write(theirs, steps);
        const expected = theirs.finish();
        for (const ours of [new MessageWriter(), grown]) {
          write(ours, steps);
          expect(ours.finish().equals(expected)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("join: a message that ends where the room does keeps what is in it", () => {
    for (let before = 230; before < 260; before++) {
      const written = new MessageWriter()
        .raw(Buffer.alloc(before))
        .fork()
        .raw(Buffer.of(7, 8, 9))
        .join()
        .finish();
      expect([...written.subarray(before)]).toEqual([3, 7, 8, 9]);
    }
  });

  test.each([127, 128, 2 ** 14 - 1, 2 ** 14, 2 ** 21])(
    "join: a message of %d bytes has its length before it",
    (length) => {
      const content = Buffer.alloc(length, "x");
      const within = new MessageWriter().fork().raw(content).join().bool(true).finish();
      expect(within.equals(new BinaryWriter().bytes(content).bool(true).finish())).toBe(true);
    },
  );

  test("finish: what was given is not written over later", () => {
    const writer = new MessageWriter();
    const first = writer.string("first").finish();
    writer.string("other").finish();
    expect(first.toString()).toBe("\u0005first");
  });

  test.each([
    ["uint32", (writer) => writer.uint32(2 ** 32)],
    ["uint32, with a sign", (writer) => writer.uint32(-1)],
    ["uint32, no whole number", (writer) => writer.uint32(1.5)],
    ["int32", (writer) => writer.int32(2 ** 31)],
    ["int64, of a bigint", (writer) => writer.int64(2n ** 63n)],
    ["int64, of a number", (writer) => writer.int64(2 ** 63)],
    ["int64, of a number with a sign", (writer) => writer.int64(-(2 ** 53) * 2 ** 11)],
    ["int64, no whole number", (writer) => writer.int64(0.5)],
    ["uint64", (writer) => writer.uint64(2n ** 64n)],
    ["uint64, with a sign", (writer) => writer.uint64(-1n)],
    ["uint64, a number with a sign", (writer) => writer.uint64(-1)],
    ["join", (writer) => writer.join()],
  ] satisfies [string, (writer: MessageWriter) => unknown][])("%s: what cannot be is refused", (_name, wrong) => {
    expect(() => wrong(new MessageWriter())).toThrow(RangeError);
  });
});
