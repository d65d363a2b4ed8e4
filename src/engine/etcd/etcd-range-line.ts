/** Lets calls over many keys pass, long ones only a few at a time. */
import type { Clock } from "../../base/clock.ts";
import { STORE_FIRST_SHARE, STORE_LINE_SHARE, STORE_LONG_RANGES } from "../../base/store-limits.ts";
import { unavailable } from "./etcd-errors.ts";
import { EtcdRangeLengths } from "./etcd-range-lengths.ts";
import type { Spread } from "./etcd-spread.ts";

/** What a call is told when it is its turn. */
export interface Turn {
  /** Whether the range is known to be a short one. */
  readonly isShort: boolean;
  /** To be called where etcd lives, and has not answered in time. */
  readonly late: () => void;
}

/**
 * Lets calls over many keys pass, long ones only a few at a time: each takes etcd so much work that many of them would
 * keep it from all else, and from answering any of them in time. Only etcd's answer tells how long a range is: of those
 * over unknown keys one goes first, and the others wait for what it shows. Short ones wait for no long one. Nobody who
 * was let in waits for another place, so that nobody waits for ever.
 */
export class EtcdRangeLine {
  readonly #clock: Clock;
  readonly #lengths: EtcdRangeLengths;
  /** By label: the calls over unknown keys that are under way. They never reject. No read waits for a write: that one stays where it was sent. */
  readonly #firsts = { reads: new Map<string, Promise<void>>(), writes: new Map<string, Promise<void>>() } as const;
  /** Those of a reading that has begun come before others: a reading of several calls would else hardly ever end. */
  readonly #line = { continued: new Set<() => void>(), others: new Set<() => void>() } as const;
  #longUnderWay = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lengths = new EtcdRangeLengths(clock);
  }

  /**
   * Makes the call, which has `timeMs`, in its turn. Errors: the call's; `storeUnavailable`, where so much of the time
   * passes before that the rest is not enough.
   */
  async pass<Response>(
    spread: Spread<Response>,
    { timeMs, isWrite }: { readonly timeMs: number; readonly isWrite: boolean },
    call: (turn: Turn) => Promise<Response>,
  ): Promise<Response> {
    const { label } = spread;
    const begun = this.#clock.monotonic();
    for (;;) {
      const length = this.#lengths.of(label);
      if (length === "short") return this.#measured(spread, call);
      if (length === "long") return this.#inTurn(spread, begun + timeMs * STORE_LINE_SHARE, call);
      const firsts = isWrite ? this.#firsts.writes : this.#firsts.reads;
      const first = firsts.get(label);
      if (first === undefined) {
        const answer = this.#measured(spread, call);
        const over = () => void firsts.delete(label);
        firsts.set(label, answer.then(over, over));
        return answer;
      }
      await this.#within(begun + timeMs * STORE_FIRST_SHARE, {
        begin: (done) => void first.then(done),
        leave: () => "Look after etcd, or ask for fewer keys: another range over the same keys has had no answer yet",
      });
    }
  }

  async #inTurn<Response>(
    spread: Spread<Response>,
    until: number,
    call: (turn: Turn) => Promise<Response>,
  ): Promise<Response> {
    if (this.#longUnderWay < STORE_LONG_RANGES) {
      this.#longUnderWay++;
    } else {
      const line = spread.isContinued ? this.#line.continued : this.#line.others;
      await this.#within(until, {
        begin: (done) => line.add(done),
        leave: (done) => {
          line.delete(done);
          return "Ask again later, or for fewer keys: etcd has as many large ranges to read as it may at a time";
        },
      });
    }
    try {
      return await this.#measured(spread, call);
    } finally {
      this.#leave();
    }
  }

  /** The place passes to the next one in line. */
  #leave(): void {
    for (const line of [this.#line.continued, this.#line.others]) {
      for (const next of line) {
        line.delete(next);
        next();
        return;
      }
    }
    this.#longUnderWay--;
  }

  async #measured<Response>(
    { label, keys }: Spread<Response>,
    call: (turn: Turn) => Promise<Response>,
  ): Promise<Response> {
    const isShort = this.#lengths.of(label) === "short";
    try {
      const response = await call({ isShort, late: () => this.#lengths.late(label) });
      this.#lengths.told(label, keys(response));
      return response;
    } catch (error) {
      this.#lengths.doubt(label);
      throw error;
    }
  }

  /** Resolves when `done` is called. At the time `until` it rejects with the words of `leave`. */
  #within(
    until: number,
    { begin, leave }: { begin: (done: () => void) => void; leave: (done: () => void) => string },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => reject(unavailable(leave(done))), Math.max(until - this.#clock.monotonic(), 0));
      begin(done);
    });
  }
}
