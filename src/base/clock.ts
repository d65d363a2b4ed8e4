import { uptime } from "node:os";

/** Time comes in from outside, so that tests can move it. */
export interface Clock {
  /** Wall-clock time in ms since 1970; may jump when somebody sets the machine's clock (base/steady-clock does not). */
  now(): number;
  /** Time in ms from an arbitrary start that never jumps: for intervals, leases and deadlines. Stands still while the machine sleeps. */
  monotonic(): number;
  /**
   * The time by which nodes and tokens end, in ms since 1970, where that is another than `now`: 0 while nothing may end,
   * because the clock is not to be trusted.
   */
  timeOver?(): number;
  /** Whether it is not known how far this clock is off from those of others who go by the times that it gives; absent: no. */
  readonly isUncertain?: boolean;
}

/** The time by which nodes and tokens end, in ms since 1970: what is to end by then is over. */
export function timeOver(clock: Clock): number {
  return clock.timeOver === undefined ? clock.now() : clock.timeOver();
}

/** What a machine tells of the time. */
export interface MachineClock extends Clock {
  /** Time in ms since the machine was started, what it slept included; up to a second behind. */
  sinceBoot(): number;
}

export const systemClock: MachineClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sinceBoot: () => uptime() * 1000,
};
