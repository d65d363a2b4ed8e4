/** A Muster as its clients see it. */
export interface Target {
  /** Such as `m1`. */
  readonly name: string;
  /** Such as `http://198.18.7.5:2380`: v2 keys, and v3 by gRPC. */
  readonly clientUrl: string;
  /** Where nodes that boot go. */
  readonly publicUrl: string;
}

/**
 * How long clients wait for an answer. Muster answers within a deadline of its own, 503 if need be; only where it is dead,
 * stopped or cut off does a client wait so long.
 */
export const CLIENT_TIMEOUT_MS = 15_000;
