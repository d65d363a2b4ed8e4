/** Which versions of etcd stand behind the endpoints, as far as it matters: in which order they answer watches. */
import type { Clock } from "../../base/clock.ts";
import type { StatusResponse } from "../../proto/etcdserverpb.ts";
import type { EtcdChannel } from "./etcd-channel.ts";
import type { EtcdEndpoint } from "./etcd-endpoint.ts";
import { failureOf } from "./etcd-errors.ts";
import { STATUS } from "./etcd-methods.ts";

/** The first etcd whose answers to questions for progress keep their place among the events. */
const ORDERED_SINCE = [3, 5, 8] as const;
/** How long what is known of an endpoint holds: it may be replaced by another version. */
const KNOWN_MS = 60_000;

/** Which etcd it is that answers at an endpoint. */
export class EtcdVersions {
  readonly #channel: EtcdChannel;
  readonly #clock: Clock;
  readonly #known = new Map<EtcdEndpoint, { readonly isOrdered: boolean; readonly until: number }>();

  constructor(channel: EtcdChannel, clock: Clock) {
    this.#channel = channel;
    this.#clock = clock;
  }

  /** Whether its answers to questions for progress come after the events before them; false also where it does not say. */
  async answersProgressInOrder(endpoint: EtcdEndpoint): Promise<boolean> {
    const known = this.#known.get(endpoint);
    if (known !== undefined && known.until > this.#clock.monotonic()) {
      return known.isOrdered;
    }
    let isOrdered = false;
    try {
      isOrdered = isOrderedVersion(await this.#channel.ask(endpoint, STATUS, {}));
    } catch (error) {
      if (failureOf(error).kind !== "answer") {
        return false;
      }
      // A user who may not ask for the version gets the slower way, which is right with every version.
    }
    this.#known.set(endpoint, { isOrdered, until: this.#clock.monotonic() + KNOWN_MS });
    return isOrdered;
  }
}

function isOrderedVersion({ version }: StatusResponse): boolean {
  const parts = version.split(".").map((part) => Number.parseInt(part, 10));
  const differing = ORDERED_SINCE.findIndex((bound, place) => parts[place] !== bound);
  return differing === -1 || (parts[differing] ?? 0) > (ORDERED_SINCE[differing] ?? 0);
}
