/** Time comes in from outside, so that tests can move it. */
export interface Clock {
  /** Wall-clock time in ms since 1970; may jump when somebody sets the machine's clock. */
  now(): number;
  /** Time in ms from an arbitrary start that never jumps: for intervals, leases and deadlines. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
