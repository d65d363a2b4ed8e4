/** What operators are told of a clock that is off from its peers', or cannot be compared with them. */
import { PEER_CLOCK_TRIP_MS, PEER_CLOCK_UNKNOWN_NOTICE_MS } from "../base/peer-clock-limits.ts";
import type { Agreement } from "./clock-agreement.ts";

const REFUSED = "and writes with a time to live are refused";

/** Of a clock that is off. */
export function clockOffNotice({ offMs, correctionMs, clocks }: Agreement): string {
  // The middle of two lies between them: it says nothing of either.
  if (clocks === 2) {
    return `Set the clocks of the machines of both Musters on the store right: this one's is ${difference(2 * offMs)} the other's, and of two clocks nobody knows which is wrong; until they agree nothing expires by either, ${REFUSED}`;
  }
  const refused = correctionMs === 0 ? `, ${REFUSED}` : "";
  return `Set the clocks of this machine and its peers right: this one is ${difference(offMs)} the middle of the clocks of all ${clocks} Musters on the store, so until then nothing expires by it${refused}`;
}

/** `aheadMs`: how far the other clock is ahead. */
function difference(aheadMs: number): string {
  return `${Math.abs(aheadMs / 1000).toFixed(1)} s ${aheadMs < 0 ? "ahead of" : "behind"}`;
}

/** Of a clock that could not be compared for `unknownMs`; undefined where that is not long yet. */
export function clockUnknownNotice(unknownMs: number): string | undefined {
  if (unknownMs < PEER_CLOCK_UNKNOWN_NOTICE_MS) return undefined;
  return `Look at how long etcd takes for a write: for ${Math.floor(unknownMs / 1000)} s this Muster has not been able to compare its clock with its peers', which has to go through the store and back within ${PEER_CLOCK_TRIP_MS} ms; until then nothing expires by it, and it refuses times to live`;
}
