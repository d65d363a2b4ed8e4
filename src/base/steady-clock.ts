/**
 * The time by which nodes and tokens end: the wall clock's for as long as that moves as time passes. Where it is set, by
 * hand or by NTP in one step, this time goes on as if it had not been, so that nothing ends early or late by it; and it
 * says so. Slewing moves the monotonic clock as well and is no jump; a machine's sleep is time that passed.
 */
import type { Clock, MachineClock } from "./clock.ts";
import { CLOCK_JUMP_MS } from "./limits.ts";

/** Reading both clocks at one moment is tried so often: the process may be stopped in between. */
const READ_ATTEMPTS = 8;

export interface SteadyClockOptions {
  readonly machine: MachineClock;
  /** Told when the wall clock was found to have jumped. */
  readonly onJump: (jump: ClockJump) => void;
}

export interface ClockJump {
  /** How far the wall clock jumped, in ms; back is less than 0. */
  readonly jumpMs: number;
  /** How far it is ahead of this clock since then, in ms. */
  readonly wallAheadMs: number;
}

export class SteadyClock implements Clock {
  readonly #options: SteadyClockOptions;
  /** The wall clock less the monotonic one at the last look. */
  #difference: number;
  /** How long the machine has slept since it was started. */
  #slept: number;
  /** The wall clock less this clock: 0, or what it jumped. */
  #wallAhead = 0;

  constructor(options: SteadyClockOptions) {
    this.#options = options;
    this.#difference = this.#readDifference();
    this.#slept = this.#readSlept();
  }

  /** ms since 1970: never jumps while the process runs. Every call is a look at whether the wall clock did. */
  now(): number {
    const { machine } = this.#options;
    const wall = machine.now();
    const difference = wall - machine.monotonic();
    if (Math.abs(difference - this.#difference) <= CLOCK_JUMP_MS) {
      this.#difference = difference;
      return wall - this.#wallAhead;
    }
    this.#settle();
    return machine.now() - this.#wallAhead;
  }

  monotonic(): number {
    return this.#options.machine.monotonic();
  }

  /**
   * How far the wall clock is ahead of this one, in ms: other than 0 after a jump, until the wall clock is set right
   * again or the process starts anew.
   */
  get wallAheadMs(): number {
    this.now();
    return this.#wallAhead;
  }

  /** Goes on from `time` (ms since 1970) where the wall clock stands before it: it was later already. For the start. */
  startNotBefore(time: number): void {
    const behind = time - this.now();
    if (behind > CLOCK_JUMP_MS) this.#jumped(-behind);
  }

  /** Goes by the wall clock as it stands, because it is known to be right. */
  takeWall(): void {
    const ahead = this.wallAheadMs;
    if (ahead !== 0) this.#jumped(-ahead);
  }

  /** Takes the clocks as they stand, and their change for a jump but for what the machine slept. */
  #settle(): void {
    const difference = this.#readDifference();
    const slept = this.#readSlept();
    const asleep = slept - this.#slept;
    const change = difference - this.#difference;
    // Less is how exactly the machine knows it.
    const jump = asleep > CLOCK_JUMP_MS ? change - asleep : change;
    this.#difference = difference;
    this.#slept = slept;
    if (Math.abs(jump) > CLOCK_JUMP_MS) this.#jumped(jump);
  }

  #jumped(jumpMs: number): void {
    const wallAhead = this.#wallAhead + jumpMs;
    // Set right again: from here on the two are one, so that no rest of reading them stays for ever.
    this.#wallAhead = Math.abs(wallAhead) <= CLOCK_JUMP_MS ? 0 : wallAhead;
    this.#options.onJump({ jumpMs, wallAheadMs: this.#wallAhead });
  }

  #readDifference(): number {
    const { machine } = this.#options;
    let least = Number.POSITIVE_INFINITY;
    let difference = 0;
    for (let attempt = 0; attempt < READ_ATTEMPTS && least > 1; attempt++) {
      const before = machine.monotonic();
      const wall = machine.now();
      const took = machine.monotonic() - before;
      if (took >= least) continue;
      least = took;
      difference = wall - before;
    }
    return difference;
  }

  #readSlept(): number {
    const { machine } = this.#options;
    return machine.sinceBoot() - machine.monotonic();
  }
}
