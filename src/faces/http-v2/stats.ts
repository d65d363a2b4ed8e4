/** /v2/stats: self and leader of a cluster of one, and what clients have done to the store. */
import type { Clock } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import type { StoreCounts } from "../../domain/tree/store-counters.ts";
import { MEMBER_NAME } from "./member.ts";

export interface StatsOptions {
  readonly memberId: string;
  readonly clock: Clock;
  readonly counters: { readonly counts: Readonly<StoreCounts> };
}

/** The statistics by path, each as the JSON that etcd 2.3.8 makes of it: its names and its order. */
export class Stats {
  readonly #options: StatsOptions;
  readonly #startTime: string;
  readonly #startedAt: number;

  /** Made when the service starts: from then on counts the uptime. */
  constructor(options: StatsOptions) {
    this.#options = options;
    this.#startTime = new Date(options.clock.now()).toISOString();
    this.#startedAt = options.clock.monotonic();
  }

  /** The statistics at a clean path, or undefined where there are none. */
  at(path: string): (() => string) | undefined {
    switch (path) {
      case "/v2/stats/self":
        return () => this.#self();
      case "/v2/stats/leader":
        return () => JSON.stringify({ leader: this.#options.memberId, followers: {} });
      case "/v2/stats/store":
        return () => JSON.stringify(this.#options.counters.counts);
      default:
        return undefined;
    }
  }

  #self(): string {
    const { memberId, clock } = this.#options;
    const uptime = formatDuration(Math.round(clock.monotonic() - this.#startedAt));
    return JSON.stringify({
      name: MEMBER_NAME,
      id: memberId,
      state: "StateLeader",
      startTime: this.#startTime,
      leaderInfo: { leader: memberId, uptime, startTime: this.#startTime },
      recvAppendRequestCnt: 0,
      sendAppendRequestCnt: 0,
    });
  }
}
