import { utf8 } from "../../src/base/bytes.ts";
import type { Clock } from "../../src/base/clock.ts";
import type { Operation, TxnRequest } from "../../src/engine/model.ts";

/** A put of text; without a value, of "v". */
export const put = (key: string, value = "v", lease = 0n): Operation => ({
  kind: "put",
  request: { key: utf8(key), value: utf8(value), lease },
});

/** A deletion of one key, or of key ≤ k < end. */
export const del = (key: string, end?: string): Operation => ({
  kind: "deleteRange",
  request: { key: utf8(key), ...(end === undefined ? {} : { end: utf8(end) }) },
});

/** A transaction without a condition. */
export const txn = (...success: readonly Operation[]): TxnRequest => ({ compares: [], success, failure: [] });

/** A clock that the test moves, in ms; `step` is what each look at its monotonic time costs. */
export class MovedClock implements Clock {
  at = 0;
  step = 0;

  now(): number {
    return this.at;
  }

  monotonic(): number {
    this.at += this.step;
    return this.at;
  }
}
