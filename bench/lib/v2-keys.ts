/** Keys and values of the v2 figures: the same on both sides. */
import type { Requests } from "../load/jobs.ts";

/** Where etcd v2 keeps its keys, and Muster's client listener too. */
export const KEYS = "/v2/keys";

export const VALUE_BYTES = 100;

/** The form body of a write of 100 bytes. */
export const VALUE_BODY = `value=${"v".repeat(VALUE_BYTES)}`;

/** Plain sets of so many keys in one directory, over and over: `/v2/keys/NAME/00000000` and so on. */
export function setsIn(directory: string, keys: number): Requests {
  return { kind: "numbered", method: "PUT", prefix: `${KEYS}${directory}/`, keys, body: VALUE_BODY };
}

/** How a figure says what its keys are. */
export function keysIn(directory: string, keys: number): string {
  const named = `${directory}/00000000`;
  return `${keys.toLocaleString("en")} keys of ${named.length} bytes (${named} and on) in one directory, each with a value of ${VALUE_BYTES} bytes`;
}
