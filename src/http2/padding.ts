/** What a padded frame holds. */
import { Flag } from "./frames.ts";
import { broken, wrongSize } from "./http2-error.ts";

/** @throws ConnectionError where there is more padding than payload (RFC 9113, 6.1) */
export function withoutPadding(flags: number, payload: Buffer): Buffer {
  if ((flags & Flag.PADDED) === 0) return payload;
  const padding = payload[0];
  if (padding === undefined) throw wrongSize("a padded frame");
  if (padding >= payload.length) throw broken("there is more padding than payload");
  return payload.subarray(1, payload.length - padding);
}
