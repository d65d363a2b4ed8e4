/** What operators are told of a clock that is off from its peers', or cannot be compared with them. */
import { PEER_CLOCK_TRIP_MS, PEER_CLOCK_UNKNOWN_NOTICE_MS } from "../base/peer-clock-limits.ts";

/** Of a clock that is off. `offMs`: how far the middle of all clocks is ahead of it, in ms. */
export function clockOffNotice(offMs: number): string {
  const seconds = Math.abs(offMs / 1000).toFixed(1);
  const where = offMs < 0 ? "ahead of" : "behind";
  return `Set the clocks of this machine and its peers right: this one is ${seconds} s ${where} the middle of the clocks of all Musters on the store, so nothing expires by it`;
}

/** Of a clock that could not be compared for `unknownMs`; undefined where that is not long yet. */
export function clockUnknownNotice(unknownMs: number): string | undefined {
  if (unknownMs < PEER_CLOCK_UNKNOWN_NOTICE_MS) return undefined;
  return `Look at how long etcd takes for a write: for ${Math.floor(unknownMs / 1000)} s this Muster has not been able to compare its clock with its peers', which has to go through the store and back within ${PEER_CLOCK_TRIP_MS} ms; until then nothing expires by it, and it refuses times to live`;
}
