import { expect, test } from "vitest";
import { HeldBytes } from "./held-bytes.ts";

test("gives all that was pushed as one, once", () => {
  const held = new HeldBytes();
  expect(held.take()).toBeUndefined();
  const pieces = Array.from({ length: 10_000 }, (_, at) => Buffer.of(at & 0xff));
  for (const piece of pieces) held.push(piece);
  expect(held.bytes).toBe(10_000);
  expect(held.take()).toEqual(Buffer.concat(pieces));
  expect(held.take()).toBeUndefined();
  held.push(Buffer.from("again"));
  expect(held.take()?.toString()).toBe("again");
});
