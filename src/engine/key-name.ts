import type { Bytes } from "../base/bytes.ts";

/** Bytes as text one to one, so that a Set or Map can hold them; texts sort as the bytes do. */
export function keyName(key: Bytes): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

/** The bytes that a name stands for. */
export function keyOf(name: string): Buffer {
  return Buffer.from(name, "latin1");
}
