/**
 * Tells the log of nodes that ask for a token that is not there: an etcd says of it no more than "bad discovery
 * endpoint". An address is told of once a minute, and only so many of them: anybody may ask for anything.
 */
import type { Clock } from "../../base/clock.ts";
import { MAX_UNKNOWN_TOKEN_LINES, UNKNOWN_TOKEN_INTERVAL_MS } from "../../base/limits.ts";
import { type Log, shortToken } from "../../base/log.ts";
import type { Origin } from "./origin.ts";

export class UnknownTokens {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #told = new Set<string>();
  #interval = 0;

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Somebody asked for a token of this name. */
  tell(name: string, { protocol, address, host }: Origin): void {
    const interval = Math.floor(this.#clock.monotonic() / UNKNOWN_TOKEN_INTERVAL_MS);
    if (interval !== this.#interval) {
      this.#interval = interval;
      this.#told.clear();
    }
    if (this.#told.has(address) || this.#told.size >= MAX_UNKNOWN_TOKEN_LINES) return;
    this.#told.add(address);
    const fields = { token: shortToken(name), protocol, address, host };
    this.#log.info(fields, "a token was asked for that is not here: never made, deleted, or its time is over");
  }
}
