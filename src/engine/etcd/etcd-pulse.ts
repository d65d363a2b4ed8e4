/** Finds out that an endpoint is dead under streams that are silent: no connection ends where a machine stops. */
import { STORE_PULSE_MS } from "../../base/store-limits.ts";
import type { EtcdChannel } from "./etcd-channel.ts";
import type { EtcdEndpoint } from "./etcd-endpoint.ts";
import { failureOf } from "./etcd-errors.ts";
import { RANGE } from "./etcd-methods.ts";
import { wireRange } from "./etcd-requests.ts";
import { type EtcdSpace, OFFSET_KEY } from "./etcd-space.ts";

/** A stream that stands on an endpoint. */
export interface PulseStream {
  readonly endpoint: EtcdEndpoint;
  /** Whether anything came since the last look; the look forgets it. */
  tookPulse(): boolean;
  /** Asks how far it is, if there is no reason not to. */
  look(): void;
  /** The endpoint is dead: another is to be found. */
  leave(): void;
}

/**
 * Finds out that an endpoint of which streams expect news is dead: a machine that was stopped or cut off ends no
 * connection. Where nothing came for a while, the endpoint is asked something that needs a quorum.
 */
export class EtcdPulse {
  readonly #channel: EtcdChannel;
  readonly #space: EtcdSpace;
  readonly #streams = new Set<PulseStream>();
  readonly #asked = new Set<EtcdEndpoint>();
  #timer: NodeJS.Timeout | undefined;

  constructor(channel: EtcdChannel, space: EtcdSpace) {
    this.#channel = channel;
    this.#space = space;
  }

  add(stream: PulseStream): void {
    this.#streams.add(stream);
    this.#timer ??= setInterval(() => this.#beat(), STORE_PULSE_MS).unref();
  }

  remove(stream: PulseStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #beat(): void {
    const lively = new Set<EtcdEndpoint>();
    const silent = new Set<EtcdEndpoint>();
    for (const stream of this.#streams) {
      (stream.tookPulse() ? lively : silent).add(stream.endpoint);
      stream.look();
    }
    for (const endpoint of silent) {
      if (!lively.has(endpoint) && !this.#asked.has(endpoint)) {
        void this.#ask(endpoint);
      }
    }
  }

  async #ask(endpoint: EtcdEndpoint): Promise<void> {
    this.#asked.add(endpoint);
    try {
      await this.#channel.ask(endpoint, RANGE, wireRange(this.#space, { key: OFFSET_KEY, countOnly: true }));
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "refused" || failure.kind === "unknown") {
        this.#channel.failed(endpoint, failure.error);
        for (const stream of [...this.#streams].filter((each) => each.endpoint === endpoint)) {
          stream.leave();
        }
      }
    } finally {
      this.#asked.delete(endpoint);
    }
  }
}
