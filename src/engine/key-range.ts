import { type Bytes, compareBytes } from "../base/bytes.ts";
import type { KeyRange } from "./model.ts";

/** Whether a key lies in a range. */
export function covers(range: KeyRange, key: Bytes): boolean {
  const order = compareBytes(range.key, key);
  if (range.end === undefined) {
    return order === 0;
  }
  return order <= 0 && (range.end === null || compareBytes(key, range.end) < 0);
}
