/** How lmdb takes bytes and hands them out: its own copies each have memory of their own, which costs about a µs to make. */
import { packed } from "../../base/bytes.ts";

/** A codec for values that are bytes: what is read is a copy that shares its memory with others, and is whoever's who read it. */
const values = {
  encode: (value: Buffer): Buffer => value,
  /** `shared` is what lmdb reads everything into; only its property says how long the value in it is. */
  decode: (shared: Buffer): Buffer => packed(new Uint8Array(shared.buffer, shared.byteOffset, shared.length)),
};

/** The same for keys, which lmdb has in the middle of other bytes. */
const keys = {
  writeKey(key: Buffer, target: Buffer, start: number): number {
    target.set(key, start);
    return start + key.length;
  },
  readKey: (source: Buffer, start: number, end: number): Buffer =>
    packed(new Uint8Array(source.buffer, source.byteOffset + start, end - start)),
};

/** Else lmdb begins what has no start where its own encoding of keys does, behind those that begin with byte 0. */
const beginning = { defaultBeginningKey: Buffer.of(0) };

/** Settings of a table whose keys are bytes. */
export const BYTE_KEYS = { keyEncoder: keys, ...beginning };

/** Settings of a table whose keys and values are bytes. */
export const BYTE_ENTRIES = { ...BYTE_KEYS, encoding: "binary", encoder: values } as const;
