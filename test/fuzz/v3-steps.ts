/** The steps of a program of v3 requests, as v3-pinned.json holds them. */
import { z } from "zod";

const jsonSchema = z.record(z.string(), z.json());

/**
 * A request of a stream of watches: `stream` says of which; `end` ends it, another one takes its place when it is named
 * again; `half_close` is the client's end of it.
 */
export const WATCH = "Watch/Watch";

/**
 * A request of a method such as `KV/Range`, in etcd's field names. Bytes are written as text, a character for each;
 * `y*700000` as a value is so many of it; "S+3" is a revision counted from the program's start.
 */
export const v3StepSchema = z.strictObject({ call: z.string(), request: jsonSchema });
export type V3Step = z.infer<typeof v3StepSchema>;

type Json = z.infer<ReturnType<typeof z.json>>;

const BYTES = new Set(["key", "range_end", "value"]);

/** The request as the client takes it; `start`: the server's revision when the program began. */
export function wireRequest(request: Json, start: number, name = ""): Json | Uint8Array | object {
  if (Array.isArray(request)) return request.map((item) => wireRequest(item, start));
  if (typeof request === "object" && request !== null) {
    return Object.fromEntries(Object.entries(request).map(([field, of]) => [field, wireRequest(of, start, field)]));
  }
  if (typeof request !== "string") return request ?? 0;
  if (BYTES.has(name)) return bytesOf(request);
  const offset = /^S([+-]\d+)$/.exec(request)?.[1];
  return offset === undefined ? request : start + Number(offset);
}

function bytesOf(text: string): Buffer {
  const [, char = "", times] = /^(.)\*(\d+)$/.exec(text) ?? [];
  return times === undefined ? Buffer.from(text, "latin1") : Buffer.alloc(Number(times), char);
}

/** A program as a person can read it, and as v3-pinned.json takes it. */
export function listing(steps: readonly V3Step[]): string {
  return `[\n${steps.map((step) => `  ${JSON.stringify(step)}`).join(",\n")}\n]`;
}
