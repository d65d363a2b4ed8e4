/** Tells the log once when etcd ceases to serve, and once when it serves again. */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { STORE_DEADLINE_MS } from "../../base/store-limits.ts";
import type { Failure } from "./etcd-errors.ts";

/** Reads and writes of keys, by which it is told whether etcd serves; others may be refused to a user who may do all that matters. */
export type CallKind = "read" | "write" | "other";

/** Tells the log once when etcd ceases to serve, be it that it cannot or that it refuses, and once when it serves again. */
export class EtcdServiceLog {
  readonly #log: Log;
  readonly #clock: Clock;
  /** All endpoints. */
  readonly #names: string;
  /** The endpoint that answered last, and whether it was told that none did. */
  #served: string | undefined;
  #isReported = false;
  /** What etcd refuses, and when it last did: calls of a kind, or whatever the user asks. */
  readonly #refused = new Map<CallKind | "user", number>();

  constructor({ log, clock, endpoints }: { log: Log; clock: Clock; endpoints: readonly string[] }) {
    this.#log = log;
    this.#clock = clock;
    this.#names = endpoints.join(", ");
  }

  /** The endpoint did what it was asked. */
  answered(endpoint: string, kind: CallKind): void {
    if (this.#isRefusedStill(kind) || (this.#served === endpoint && !this.#isReported)) {
      return;
    }
    if (this.#isReported) {
      this.#log.info({ endpoint }, "etcd serves again");
    } else if (this.#served !== undefined) {
      this.#log.info({ endpoint, before: this.#served }, "another endpoint of etcd is in use");
    }
    this.#served = endpoint;
    this.#isReported = false;
  }

  /** etcd refused a call for a reason that an operator has to put right. */
  refused(complaint: NonNullable<Failure["complaint"]>, kind: CallKind, reason: string): void {
    if (kind === "other") return;
    this.#refused.set(complaint === "user" ? complaint : kind, this.#clock.monotonic());
    this.failed(reason);
  }

  /** No endpoint answered. */
  failed(reason: string): void {
    if (!this.#isReported && this.#served !== undefined) {
      this.#isReported = true;
      this.#log.warn({ endpoints: this.#names, reason }, "etcd does not serve");
    }
  }

  #isRefusedStill(kind: CallKind): boolean {
    if (kind !== "other") {
      // Whom etcd lets in again may ask anything.
      this.#refused.delete("user");
      const last = this.#refused.get(kind);
      // Of some keys it may refuse a call, and not of others: that is not to be told again with each of them.
      if (last !== undefined && this.#clock.monotonic() - last > STORE_DEADLINE_MS) this.#refused.delete(kind);
    }
    return this.#refused.size > 0;
  }
}
