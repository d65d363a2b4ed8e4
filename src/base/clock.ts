import { uptime } from "node:os";

/** Time comes in from outside, so that tests can move it. */
export interface Clock {
  /** Wall-clock time in ms since 1970; may jump when somebody sets the machine's clock (base/steady-clock does not). */
  now(): number;
  /** Time in ms from an arbitrary start that never jumps: for intervals, leases and deadlines. Stands still while the machine sleeps. */
  monotonic(): number;
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
